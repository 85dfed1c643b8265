#!/usr/bin/env bash
# Measures the configs of benchmarks/configs.txt on a GPU, in turns, and draws the results: benchmarks/run_gpu.sh
# [--overwrite]. predict_fp32: each config in MMSegmentation's EncoderDecoder and in SlideSegmentor, float32, eager.
# fast_predict and fast_throughput_32: ViT-B/16 and ViTTM-B(64, 64) stock in float32, and on the fast path in TF32 and
# bfloat16, compiled, image by image (with milliseconds by kind of operation) and as 32 crops. IMAGES=N (60) sets how
# many images. endless: a stream of 10,000 frames, time and memory from the first to the last.
# Results go to OUT (default: benchmarks/NAME_OF_THE_GPU).
set -euo pipefail
DEVICE=cuda
source "$(dirname "${BASH_SOURCE[0]}")/measure.sh"

"$PYTHON" benchmarks/check_triton.py || true # says what to do with the kernel, which is off in what follows
images=${IMAGES:-60}
fast=(--segmentor EncoderDecoder SlideSegmentor:bf16 SlideSegmentor:tf32:compile SlideSegmentor:bf16:compile)
all=("${configs[@]}")
configs=(configs/segmenter_vit_b_ade20k.py configs/segmenter_vittm_b_ade20k.py)
measure_and_draw fast_predict "${fast[@]}" --images "$images"
beside operations fast_predict "${fast[@]}"
measure_and_draw fast_throughput_32 "${fast[@]}" --throughput --batch-size 32 --images 20 --warmup 3
configs=("${all[@]}")
"$PYTHON" benchmarks/endless.py --size 192 -o "$OUT/endless" --device "$DEVICE" "${overwrite[@]}"
measure_and_draw predict_fp32 --segmentor EncoderDecoder SlideSegmentor --images "$images"
