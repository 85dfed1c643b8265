"""Thousands of damaged checkpoint files: our error or a whole load, nothing else, and no code run.

`MMSEG_VITTM_FUZZ=10000 pytest -s tests/test_checkpoint_fuzz.py` reads so many instead of a few hundred.
"""
import os
import resource
import time
import warnings
from collections import Counter

import pytest
import torch
from malicious_files import Fuzzer, rezip
from mmengine.logging import HistoryBuffer
from mmseg.registry import MODELS
from tiny_models import TINY
from torch import nn

from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.weights.convert import convert_checkpoint
from mmseg_vittm.weights.whole_model import load_model_weights, read_checkpoint

FILES = int(os.environ.get('MMSEG_VITTM_FUZZ', 360))
ENDINGS = ('.pth', '.safetensors', '')


def model() -> nn.Module:
    torch.manual_seed(0)
    arch = TINY | dict(embed_dims=8, num_layers=1, num_heads=2)
    return nn.ModuleDict(dict(backbone=MODELS.build(dict(type='ViTTM', arch=arch, img_size=28)),
                              decode_head=nn.Sequential(nn.Linear(8, 3), nn.BatchNorm2d(3))))


def content(module: nn.Module) -> dict:
    """What a Runner saves, in small."""
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    optimizer = torch.optim.AdamW(module.parameters())
    return dict(state_dict=module.state_dict(),
                meta=dict(cfg='model = dict(a=1)', iter=3, dataset_meta=dict(classes=('a',), palette=[[1, 2, 3]])),
                message_hub=dict(log_scalars={'loss': buffer}, runtime_info=dict(iter=torch.tensor(3).numpy()[()]),
                                 resumed_keys={}), optimizer=optimizer.state_dict())


def load(path: str) -> tuple[str, dict]:
    """The weights, after the ways of test.py and infer.py, of init_cfg and of convert_checkpoint.py."""
    outcome, module = 'refused', model()
    for name, way in (
            ('test', lambda: load_model_weights(module, read_checkpoint(path)['state_dict'], path)),
            ('init_cfg', lambda: module['backbone'].load_pretrained(path)),
            ('convert', lambda: convert_checkpoint(path, f'{path}.new.safetensors', overwrite=True))):
        try:
            way()
        except CheckpointError as error:
            assert os.path.basename(path) in str(error) and '\n' not in str(error), str(error)
            continue
        outcome = f'loaded by {name}' if outcome == 'refused' else f'{outcome}, {name}'
    return outcome, module.state_dict()


@pytest.mark.filterwarnings('ignore')
def test_damaged_files_are_refused_or_loaded_whole(tmp_path, record_property):
    good = model()
    with torch.no_grad():
        for weight in good.parameters():
            weight += torch.randn_like(weight)
    expected, marker = good.state_dict(), tmp_path / 'marker'
    fuzzer, outcomes, slowest = Fuzzer(content(good), marker, seed=5), Counter(), 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(FILES):
        kind = fuzzer.kinds[number % len(fuzzer.kinds)]
        path = tmp_path / f'{number}{ENDINGS[number // len(fuzzer.kinds) % len(ENDINGS)]}'
        path.write_bytes(fuzzer.file(kind))
        start = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            outcome, weights = load(str(path))
        slowest = max(slowest, time.monotonic() - start)
        assert not marker.exists(), path
        if outcome.startswith('loaded by test'):
            assert list(weights) == list(expected)
            # Zip archives carry checksums; in other files a changed number is a number like any other.
            same = kind != 'zip' or all(torch.equal(weights[name], expected[name]) for name in expected)
            assert same and all(weights[name].dtype == expected[name].dtype for name in expected), path
        outcomes[f'{kind}: {outcome}'] += 1
        path.unlink()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    for outcome, count in sorted(outcomes.items()):
        record_property(outcome, count)
        print(f'{count:6} {outcome}')
    print(f'{FILES} files; slowest {slowest:.2f} s; peak memory grew by {grown:.0f} MiB')
    assert slowest < 10 and grown < 500
    assert sum(count for outcome, count in outcomes.items() if 'refused' in outcome) > 0.6 * FILES
    assert not {outcome for outcome in outcomes if outcome.startswith('spliced') and 'refused' not in outcome}


def test_the_undamaged_files_load(tmp_path):
    """What the damaged ones are made of is right, and code in it would run where nothing stops it."""
    good = model()
    marker = tmp_path / 'marker'
    fuzzer = Fuzzer(content(good), marker)
    for name in ('zip', 'legacy', 'safetensors'):
        (tmp_path / name).write_bytes(getattr(fuzzer, name))
        outcome, weights = load(str(tmp_path / name))
        assert outcome == 'loaded by test, init_cfg, convert'
        assert all(torch.equal(weights[name], weight) for name, weight in good.state_dict().items())
    path = tmp_path / 'code'
    path.write_bytes(rezip(fuzzer.zip, lambda name, data: fuzzer.splice(data, 2) if name.endswith('.pkl') else data))
    assert load(str(path))[0] == 'refused' and not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists()
