#!/bin/sh
# Trains a generator as the one that ships was trained: sh docs/weights.sh shards/
# Three hours of two CPU cores. Stopped, the same command goes on. docs/weights.md is the card.
set -e
train="ganim train $1 --critic-width 32 --critic-layers 5 --batch 8 --critic-steps 1 --rate 2e-4"

# Expressions, realistic or not.
$train --run run1 --size 96 --width 32 --upsampling nearest --conditioning adain \
    --colour residual --critic-warmup 3000 --epochs 3 --decay-epochs 0
# Realism.
$train --run run2 --init run1 --lambda-adversarial 1 --lambda-aus 100 --epochs 2 --decay-epochs 1
# Obedience, of single AUs above all.
$train --run run3 --init run2 --lambda-adversarial 0.7 --single-au 0.5 --epochs 7 --decay-epochs 3
