#!/bin/sh
# Trains a generator as the one that ships was trained: sh docs/weights.sh shards/
# Nine hours of two CPU cores. Stopped, the same command goes on. docs/weights.md is the card.
set -e
train="ganim train $1 --critic-width 32 --critic-layers 5 --batch 8 --critic-steps 1 --rate 2e-4"

# On Linux: memory is kept, in large pages. A tenth faster.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_THRESHOLD_=33554432
export MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456

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
# Faces that are moved before they are painted.
$train --run run8 --seed 8 --motion --init run7 --lambda-adversarial 2 \
    --epochs 2 --decay-epochs 1
