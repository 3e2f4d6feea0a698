#!/bin/sh
# Makes the weights that ship from those of version 5, in forty minutes of two CPU cores:
#     git show 96511dd:model/weights/generator.safetensors >v5.safetensors
#     sh docs/weights.sh shards/ v5.safetensors
# Or weights like them from nothing, in nine hours: sh docs/weights.sh shards/
# Stopped, the same command goes on. docs/weights.md is the card.
set -e
from=$2
train="ganim train $1 --critic-width 32 --critic-layers 5 --batch 8 --rate 2e-4"

# On Linux: memory is kept, in large pages. A tenth faster.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_THRESHOLD_=33554432
export MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456

from_nothing() {
    # Expressions, realistic or not.
    $train --run run1 --seed 1 --size 96 --width 32 --upsampling nearest --conditioning adain \
        --colour residual --critic-warmup 3000 --epochs 3 --decay-epochs 0
    # Realism.
    $train --run run2 --seed 2 --init run1 --lambda-adversarial 1 --lambda-aus 100 \
        --epochs 2 --decay-epochs 1
    # Obedience, of single AUs above all.
    $train --run run3 --seed 3 --init run2 --lambda-adversarial 0.7 --single-au 0.5 \
        --epochs 7 --decay-epochs 3
    # 128 px, and the AUs that seldom show.
    train="$train --size 128 --single-au 0.5 --balanced-aus --critic-jitter 0.06"
    $train --run run4 --seed 4 --init run3 --lambda-adversarial 1 --critic-warmup 600 \
        --epochs 3 --decay-epochs 2
    # Realism once more, and expressions in broad strokes.
    train="$train --critic-coarse 0.5"
    $train --run run5 --seed 5 --init run4 --lambda-adversarial 2.5 --critic-warmup 200 \
        --epochs 2 --decay-epochs 1
    $train --run run6 --seed 6 --init run5 --lambda-adversarial 1.5 --epochs 2 --decay-epochs 1
    $train --run run7 --seed 7 --init run6 --lambda-adversarial 1 --epochs 1 --decay-epochs 1
}

if [ -z "$from" ]; then
    (
        train="$train --critic-steps 1"
        from_nothing
    )
    from=run7/generator.safetensors
fi
train="$train --size 128 --single-au 0.5 --balanced-aus --critic-jitter 0.06 --critic-coarse 0.5"
# A critic of its own: it reads AUs, then learns what the generator paints on moved faces.
$train --run critic --seed 1 --init "$from" --motion --lambda-adversarial 2 \
    --critic-warmup 4000 --critic-steps 1000000 --epochs 3 --decay-epochs 0
# From there twice, the critic ahead. Realism above all: what moved faces need no more fades, and
# obedience with it.
train="$train --seed 2 --init critic --motion --lambda-adversarial 4 --critic-steps 3 --epochs 1"
$train --run relaxed --lambda-aus 20 --decay-epochs 0
# And obedience.
$train --run generator --lambda-aus 60 --rate 1.5e-4 --decay-epochs 1
# Of both, averaged.
python - <<'END'
from safetensors import safe_open
from safetensors.torch import save_file

obedient, relaxed = (safe_open(f"{run}/generator.safetensors", "pt") for run in ("generator", "relaxed"))
tensors = {name: obedient.get_tensor(name) for name in obedient.keys()}
for name, ours in tensors.items():
    if ours.is_floating_point():
        tensors[name] = ours.float().lerp(relaxed.get_tensor(name).float(), 0.15).half()
save_file(tensors, "generator.safetensors", obedient.metadata())
END
