#!/usr/bin/env bash
# Measures the configs of benchmarks/configs.txt on a GPU, in turns, and draws the results:
# benchmarks/run_gpu.sh [--overwrite]. float32 and bfloat16, each image by image, in MMSegmentation's EncoderDecoder and in
# SlideSegmentor, and as throughput at 32 crops. IMAGES=N (60) sets how many images. Results go to OUT (default: benchmarks/NAME_OF_THE_GPU).
set -euo pipefail
DEVICE=cuda
source "$(dirname "${BASH_SOURCE[0]}")/measure.sh"

for dtype in fp32 bf16; do
    measure_and_draw "predict_$dtype" --dtype "$dtype" --images "${IMAGES:-60}" \
        --segmentor EncoderDecoder SlideSegmentor
    measure_and_draw "throughput_32_$dtype" --dtype "$dtype" --throughput --batch-size 32 --images 20 --warmup 3
done
