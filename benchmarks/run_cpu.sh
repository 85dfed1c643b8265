#!/usr/bin/env bash
# Measures the configs of benchmarks/configs.txt on this machine's CPU, in turns, and draws the results:
# benchmarks/run_cpu.sh [--overwrite]. As the configs are, and all with MMSegmentation's own EncoderDecoder (stock).
# About a quarter of an hour on two cores; IMAGES=N (20) sets how many images.
# Results go to OUT (default: benchmarks/NAME_OF_THE_CPU).
set -euo pipefail
DEVICE=cpu
source "$(dirname "${BASH_SOURCE[0]}")/measure.sh"

measure_and_draw predict_fp32 --images "${IMAGES:-20}" --warmup 1
measure_and_draw predict_fp32_stock --images "${IMAGES:-20}" --warmup 1 --cfg-options model.type=EncoderDecoder
