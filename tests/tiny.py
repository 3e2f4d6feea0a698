"""The smallest training that has all its parts."""

from ganim.model.config import CriticSettings, GeneratorSettings, TrainSettings

TINY = TrainSettings(
    size=64,
    batch=4,
    epochs=1,
    decay_epochs=0,
    critic_steps=1,
    precision="fp32",
    generator=GeneratorSettings(8, 1),
    critic=CriticSettings(8, 4),
)
