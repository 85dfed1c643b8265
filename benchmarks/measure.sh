# What run_cpu.sh and run_gpu.sh share; they source this with the device as DEVICE.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
overwrite=("$@") # nothing, or --overwrite
PYTHON=${PYTHON:-$(command -v python || command -v python3)}
mapfile -t configs <benchmarks/configs.txt
if [ -z "${OUT:-}" ]; then
    name=$("$PYTHON" -c "
from mmseg_vittm.commands.options import run
from mmseg_vittm.measure.conditions import device_slug, resolve_device
run(lambda: print(device_slug(resolve_device('$DEVICE'))))") || exit
    OUT=benchmarks/$name
fi

# measure NAME [options of tools/benchmark.py]: results in OUT/NAME.
measure() {
    local name=$1
    shift
    "$PYTHON" tools/benchmark.py "${configs[@]}" --device "$DEVICE" --json "$OUT/$name/results.json" "$@" "${overwrite[@]}"
}

# measure_and_draw NAME [options of tools/benchmark.py]: results and plots in OUT/NAME.
measure_and_draw() {
    measure "$@"
    "$PYTHON" tools/plot.py "$OUT/$1/results.json" -o "$OUT/$1" "${overwrite[@]}"
}

# beside SCRIPT NAME [options of benchmarks/SCRIPT.py]: its results in OUT/NAME/SCRIPT.json.
beside() {
    local script=$1 name=$2
    shift 2
    "$PYTHON" "benchmarks/$script.py" "${configs[@]}" --device "$DEVICE" --json "$OUT/$name/$script.json" "$@" "${overwrite[@]}"
}
