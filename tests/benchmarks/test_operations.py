"""benchmarks/operations.py: the profile by kind of operation."""
import json
import runpy

import pytest
from measuring import sliding_config
from tiny_models import ROOT
from tool_inside import run_inside

SCRIPT = ROOT / 'benchmarks' / 'operations.py'


@pytest.mark.parametrize('kind,names', [
    ('matmuls', ['aten::addmm', 'aten::bmm', 'aten::mkldnn_convolution', 'nvjet_tst_128x64', 'sm90_xmma_gemm']),
    ('attention', ['aten::_scaled_dot_product_flash_attention_for_cpu', 'flash_fwd_kernel', 'fmha_cutlassF_f32']),
    ('norms', ['aten::native_layer_norm', 'vectorized_layer_norm_kernel']),
    ('argmax', ['aten::argmax', '_label_kernel']),
    ('copies', ['aten::copy_', 'aten::cat', 'Memcpy DtoD (Device -> Device)']), ('softmax', ['aten::_softmax']),
    ('elementwise', ['aten::gelu', 'aten::add', 'triton_poi_fused_gelu_3', 'aten::div']),
    ('interpolation', ['aten::upsample_bilinear2d']), ('other', ['aten::view', 'aten::empty'])])
def test_kinds_of_operations(kind, names):
    kind_of = runpy.run_path(str(SCRIPT))['kind_of']
    assert {kind_of(name) for name in names} == {kind}


def test_stock_and_fast(tmp_path, monkeypatch, capsys):
    path = tmp_path / 'operations.json'
    run_inside(monkeypatch, SCRIPT, sliding_config(tmp_path), '--segmentor', 'EncoderDecoder', 'SlideSegmentor',
               '--images', 3, '--json', path)
    rows = json.loads(path.read_text())
    assert [row['segmentor'] for row in rows] == ['EncoderDecoder', 'SlideSegmentor']
    assert all(row['image_size'] == [64, 96] for row in rows)  # of 512 x 683 and 512 x 768
    stock, fast = (row['profile_ms'] for row in rows)
    assert stock['matmuls'] > 0 and stock['interpolation'] > 0 and 'interpolation' not in fast
    out = capsys.readouterr().out
    assert 'in all' in out and 'elementwise' in out
