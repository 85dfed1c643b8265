# What run_cpu.sh and run_gpu.sh share; they source this.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
overwrite=("$@") # nothing, or --overwrite
PYTHON=${PYTHON:-$(command -v python || command -v python3)}

# measure_and_draw DEVICE NAME [options of tools/benchmark.py]: results and plots in OUT/NAME.
measure_and_draw() {
    local device=$1 name=$2
    shift 2
    : "${OUT:=benchmarks/$("$PYTHON" -c "
from mmseg_vittm.measure.conditions import device_slug, resolve_device
print(device_slug(resolve_device('$device')))")}"
    mapfile -t configs <benchmarks/configs.txt
    "$PYTHON" tools/benchmark.py "${configs[@]}" --device "$device" --json "$OUT/$name/results.json" "$@" "${overwrite[@]}"
    "$PYTHON" tools/plot.py "$OUT/$name/results.json" -o "$OUT/$name" "${overwrite[@]}"
}
