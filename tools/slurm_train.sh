#!/usr/bin/env bash
# Trains under Slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py].
# As it is, it waits in the terminal (srun). SUBMIT=1 makes it a batch job (sbatch), whose time limit is no end: 300 s
# before it, Slurm sends SIGUSR1, training saves and ends with status 75, the job is queued again, and goes on there with
# --resume=auto. So it does when called in a batch script of your own: give sbatch --requeue --open-mode=append.
# A cancelled job is not queued again. Mind that --resume=auto goes on with whatever is in the work dir: one for each run.
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS (of sbatch too) and SIGNAL_SECONDS are read from the environment.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: [SUBMIT=1] [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SIGNAL_SECONDS=300] [SRUN_ARGS='--time 8:00:00']" \
        "$0 PARTITION JOB_NAME CONFIG [options of tools/train.py]; SUBMIT=1 is a batch job, which saves and is queued" \
        "again SIGNAL_SECONDS before its time limit" >&2
    exit 2
fi
tools=$(cd "$(dirname "$0")" && pwd)
command="${0@Q} ${*@Q}"
words=${*@Q}
partition=$1 job=$2 config=$3
shift 3
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
asked=(-p "$partition" --job-name="$job" --gres="gpu:$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node"
    --cpus-per-task="${CPUS_PER_TASK:-5}" --signal="USR1@${SIGNAL_SECONDS:-300}")
if [ -n "${SUBMIT:-}" ]; then
    # By its own path: Slurm copies a script that it is given to another place.
    # shellcheck disable=SC2086  # SRUN_ARGS holds several words
    exec sbatch "${asked[@]}" --requeue --open-mode=append ${SRUN_ARGS:-} \
        --wrap "SUBMIT= exec bash ${tools@Q}/slurm_train.sh $words"
fi
export MMSEG_VITTM_COMMAND="${MMSEG_VITTM_COMMAND:-$command}"
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] && [[ " $* " != *' --resume'* ]]; then
    set -- "$@" --resume=auto
fi
# shellcheck disable=SC2206  # SRUN_ARGS holds several words
train=(srun "${asked[@]}" --kill-on-bad-exit=1 ${SRUN_ARGS:-}
    python -u "$tools/train.py" "$config" --launcher slurm "$@")
if [ -z "${SLURM_JOB_ID:-}" ]; then
    exec "${train[@]}"
fi
# Who cancels a job, or preempts it, sends SIGTERM to this script too, and queues it again by himself where he wants.
terminated=
trap 'terminated=1' TERM
trap '' USR1
status=0
"${train[@]}" || status=$?
if [ "$status" = 75 ] && [ -z "$terminated" ]; then
    echo "$0: job $SLURM_JOB_ID is queued again, and goes on where it was saved" >&2
    scontrol requeue "$SLURM_JOB_ID" ||
        echo "$0: job $SLURM_JOB_ID could not be queued again (only batch jobs can); run the same with --resume" >&2
fi
exit "$status"
