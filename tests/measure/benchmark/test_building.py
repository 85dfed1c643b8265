"""Segmentors made ready to be measured."""
import pytest
import torch
from measuring import fake_segmentor

from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.benchmark.building import compile_parts


def test_backbone_and_heads_are_compiled(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, 'compile', lambda function: compiled.append(function) or function)
    model = fake_segmentor([0.0])
    expected = [model.backbone.forward, model.neck.forward, *(head.forward for head in model.decode_head)]
    compile_parts(model)
    assert compiled == expected
    with pytest.raises(InputError, match='compile=True: Module has no backbone'):
        compile_parts(torch.nn.Module())
