"""The log of a run: a line of JSON for every so many iterations, each epoch and each warning."""

import json
from pathlib import Path
from typing import Any

from ...pipeline.errors import WrongUse
from ...pipeline.files import write_whole

METRICS = "metrics.jsonl"
_EARLIER_NAMES = {
    "critic": "critic_adversarial",
    "penalty": "gp",
    "generator": "adversarial",
    "generator_aus": "aus",
    "smoothness": "tv",
}
"""Metrics by the names that versions up to 0.1 wrote."""
Line = dict[str, Any]


class Metrics:
    """`metrics.jsonl`, and with `tensorboard` the same for TensorBoard; read back on a restart.

    Every line has `iteration` and `epoch`; what else is in it depends on what it tells of.
    """

    def __init__(self, run: Path, iteration: int, tensorboard: bool = False) -> None:
        """Go on from an iteration: what a killed run logged after it will be logged again."""
        self._path = run / METRICS
        self.lines = [line for line in read_metrics(run) if line["iteration"] <= iteration]
        text = "".join(json.dumps(line) + "\n" for line in self.lines)
        write_whole(self._path, lambda beside: beside.write_text(text))
        self._tensorboard = _tensorboard(run, iteration) if tensorboard else None

    def append(self, line: Line) -> None:
        """Log a line; numbers that are not finite are kept as they are (NaN)."""
        self.lines.append(line)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self._tensorboard is None:
            return
        for name, value in line.items():
            if isinstance(value, float) and name != "epoch":
                self._tensorboard.add_scalar(name, value, line["iteration"])
            elif isinstance(value, str):
                self._tensorboard.add_text(name, value, line["iteration"])
        self._tensorboard.flush()

    def series(self, name: str) -> tuple[list[float], list[float]]:
        """Epochs, and the values of a figure there."""
        known = [(line["epoch"], line[name]) for line in self.lines if name in line]
        return [epoch for epoch, _ in known], [value for _, value in known]


def read_metrics(run: Path) -> list[Line]:
    """The lines of a run's log, in order; none where there is no log."""
    path = run / METRICS
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue  # cut short when the run was killed, or the disk was full
        if isinstance(line, dict) and {"iteration", "epoch"} <= line.keys():
            lines.append(current_names(line))
    return lines


def current_names(metrics: dict[str, Any]) -> dict[str, Any]:
    """The same metrics, with those that an earlier version wrote under the names of this one."""
    return {_EARLIER_NAMES.get(name, name): value for name, value in metrics.items()}


def _tensorboard(run: Path, iteration: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise WrongUse(
            "--tensorboard needs the package tensorboard: pip install 'ganim[tensorboard]'"
        ) from error
    return SummaryWriter(str(run / "tensorboard"), purge_step=iteration + 1)
