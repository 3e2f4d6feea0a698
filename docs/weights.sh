#!/bin/sh
# Makes the weights that ship from those of version 5, in forty minutes of two CPU cores:
#     git show 96511dd:model/weights/generator.safetensors >v5.safetensors
#     sh docs/weights.sh shards/ v5.safetensors
# Or weights like them from nothing, in nine hours: sh docs/weights.sh shards/
# Stopped, the same command goes on. docs/weights.md is the card.
set -e
train="ganim train $1 --critic-width 32 --critic-layers 5 --batch 8 --lr 2e-4"
# 128 px, and the AUs that seldom show.
large="--size 128 --single-au 0.5 --balanced-aus --critic-jitter 0.06"
from=${2:-run7/generator.safetensors}

# On Linux: memory is kept, in large pages. A tenth faster.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_THRESHOLD_=33554432
export MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456

if [ -z "$2" ]; then
    begin="$train --critic-steps 1"
    # Expressions, realistic or not.
    $begin --run run1 --seed 1 --size 96 --width 32 --upsampling nearest --conditioning adain \
        --colour residual --critic-warmup 3000 --epochs 3 --decay-epochs 0
    # Realism.
    $begin --run run2 --seed 2 --init run1 --lambda-adversarial 1 --lambda-aus 100 \
        --epochs 2 --decay-epochs 1
    # Obedience, of single AUs above all.
    $begin --run run3 --seed 3 --init run2 --lambda-adversarial 0.7 --single-au 0.5 \
        --epochs 7 --decay-epochs 3
    $begin $large --run run4 --seed 4 --init run3 --lambda-adversarial 1 --critic-warmup 600 \
        --epochs 3 --decay-epochs 2
    # Realism once more, and expressions in broad strokes.
    begin="$begin $large --critic-coarse 0.5"
    $begin --run run5 --seed 5 --init run4 --lambda-adversarial 2.5 --critic-warmup 200 \
        --epochs 2 --decay-epochs 1
    $begin --run run6 --seed 6 --init run5 --lambda-adversarial 1.5 --epochs 2 --decay-epochs 1
    $begin --run run7 --seed 7 --init run6 --lambda-adversarial 1 --epochs 1 --decay-epochs 1
fi

# Faces that are moved before they are painted. A critic of its own: it reads AUs, then learns what
# the generator paints on them.
train="$train $large --critic-coarse 0.5 --motion"
$train --run critic --seed 1 --init "$from" --lambda-adversarial 2 \
    --critic-warmup 4000 --critic-steps 1000000 --epochs 3 --decay-epochs 0
# From there twice, the critic ahead: realism above all, then obedience.
train="$train --seed 2 --init critic --lambda-adversarial 4 --critic-steps 3 --epochs 1"
$train --run relaxed --lambda-aus 20 --decay-epochs 0
$train --run generator --lambda-aus 60 --rate 1.5e-4 --decay-epochs 1
# Of both, averaged.
python - <<'END'
from pathlib import Path

from ganim.model.checkpoint import load_weights, save_weights

runs = ("generator", "relaxed")
(obedient, settings), (relaxed, _) = (
    load_weights(Path(run, "generator.safetensors"), "generator") for run in runs
)
for name, ours in obedient.items():
    if ours.is_floating_point():
        obedient[name] = ours.lerp(relaxed[name], 0.15)
save_weights(Path("generator.safetensors"), obedient, "generator", settings)
END
