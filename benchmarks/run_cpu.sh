#!/usr/bin/env bash
# Measures the configs of benchmarks/configs.txt on this machine's CPU, each in MMSegmentation's EncoderDecoder and in
# SlideSegmentor, all in turns, and draws the results: benchmarks/run_cpu.sh [--overwrite].
# About a quarter of an hour on two cores; IMAGES=N (20) sets how many images.
# Then two of them beside their matmuls alone and by kind of operation, and what whole images gain on the toy scenes (drawn into
# data/toy_scenes where they are not there).
# Results go to OUT (default: benchmarks/NAME_OF_THE_CPU).
set -euo pipefail
DEVICE=cpu
source "$(dirname "${BASH_SOURCE[0]}")/measure.sh"

measure_and_draw predict_fp32 --segmentor EncoderDecoder SlideSegmentor --images "${IMAGES:-20}" --warmup 1
configs=(configs/segmenter_vit_b_ade20k.py configs/segmenter_vittm_b_ade20k.py)
ways=(--segmentor EncoderDecoder SlideSegmentor --image-size 512 683)
measure_and_draw matmuls_fp32 "${ways[@]}" --images 10 --warmup 1
beside matmuls matmuls_fp32 "${ways[@]}"
beside operations matmuls_fp32 "${ways[@]}" --images 1
configs=(configs/segmenter_vittm_t_toy_crops.py configs/segmenter_vittm_t_toy_crops_whole.py)
measure toy_whole --data-root data/toy_scenes --images 40 --repeat 5 --warmup 5
