#!/usr/bin/env bash
# Trains on several GPUs of one machine (or more): tools/dist_train.sh CONFIG GPUS [options of tools/train.py].
# NNODES, NODE_RANK, MASTER_ADDR and PORT are read from the environment; without a GPU, processes run on the CPU.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [options of tools/train.py]" >&2
    exit 2
fi
config=$1 gpus=$2
shift 2
exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$gpus" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
