"""The scripts that measure all configs."""
import os
import subprocess
import sys

import pytest
import torch
from tiny_models import ROOT

STUB = """#!/usr/bin/env python
import sys
with open({log!r}, 'a') as file:
    file.write(' '.join(sys.argv[1:]) + '\\n')
if sys.argv[1] == '-c':
    print('nvidia-test')
"""


@pytest.mark.parametrize('script,devices', [('run_gpu.sh', 'cuda'), ('run_cpu.sh', 'cpu')])
def test_the_scripts_measure_all_configs(script, devices, tmp_path):
    """What they would run, told by a stand-in for Python."""
    log, stub = tmp_path / 'log', tmp_path / 'python'
    stub.write_text(STUB.format(log=str(log)).replace('/usr/bin/env python', sys.executable))
    stub.chmod(0o755)
    subprocess.run(['bash', str(ROOT / 'benchmarks' / script), '--overwrite'], check=True, cwd=tmp_path,
                   env=os.environ | {'PYTHON': str(stub)})
    runs = [line for line in log.read_text().splitlines() if line.startswith('tools/benchmark.py')]
    beside = [line.split()[0] for line in log.read_text().splitlines() if line.startswith('benchmarks/')]
    plots = [line for line in log.read_text().splitlines() if line.startswith('tools/plot.py')]
    names = (ROOT / 'benchmarks' / 'configs.txt').read_text().split()
    assert len(names) >= 7 and all((ROOT / name).is_file() for name in names)
    assert names[0] == 'configs/segmenter_vit_b_ade20k.py'
    assert all(f'--device {devices}' in run and run.endswith('--overwrite') for run in runs)
    stages = {run.split('--json benchmarks/nvidia-test/')[1].split('/')[0]: run for run in runs}
    drawn = [run for name, run in stages.items() if name != 'toy_whole']  # two points, whose mIoU another tool measures
    for run, plot in zip(drawn, plots, strict=True):
        assert plot.split()[1] == run.split('--json ')[1].split()[0] and '--overwrite' in plot
    assert ' '.join(names) in stages['predict_fp32']
    assert '--segmentor EncoderDecoder SlideSegmentor --images' in stages['predict_fp32']
    if devices == 'cuda':
        assert set(stages) == {'fast_predict', 'fast_throughput_32', 'predict_fp32'}
        ways = '--segmentor EncoderDecoder SlideSegmentor:bf16 SlideSegmentor:tf32:compile SlideSegmentor:bf16:compile'
        assert ways in stages['fast_predict'] and ways in stages['fast_throughput_32']
        assert '--throughput --batch-size 32' in stages['fast_throughput_32']
        assert beside == ['benchmarks/check_triton.py', 'benchmarks/operations.py', 'benchmarks/endless.py']
    else:
        assert set(stages) == {'predict_fp32', 'matmuls_fp32', 'toy_whole'}
        assert '--data-root data/toy_scenes' in stages['toy_whole']
        assert beside == ['benchmarks/matmuls.py', 'benchmarks/operations.py']


def test_the_gpu_script_says_that_there_is_none(tmp_path):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    done = subprocess.run(['bash', str(ROOT / 'benchmarks' / 'run_gpu.sh')], capture_output=True, text=True,
                          env=os.environ | {'PYTHON': sys.executable})
    assert done.returncode == 2 and 'Traceback' not in done.stderr and 'PyTorch sees 0 GPUs' in done.stderr
    assert not (ROOT / 'benchmarks' / 'predict_fp32').exists()
