#!/usr/bin/env bash
# Trains on several GPUs of one machine (or more): tools/dist_train.sh CONFIG GPUS [options of tools/train.py].
# NNODES, NODE_RANK, MASTER_ADDR and PORT are read from the environment; without a GPU, processes run on the CPU.
# SIGTERM, SIGUSR1 and Ctrl-C save after the iteration under way and end with status 75; go on with --resume.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [options of tools/train.py]" >&2
    exit 2
fi
export MMSEG_VITTM_COMMAND="${MMSEG_VITTM_COMMAND:-${0@Q} ${*@Q}}"
config=$1 gpus=$2
shift 2
exec python "$(dirname "$0")/processes.py" \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$gpus" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
