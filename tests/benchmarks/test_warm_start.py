"""benchmarks/warm_start.py: the figure of how close a warm-started process stream is to its ViT."""
import json

import torch
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside, run_inside
from warm_starts import random_vit

SCRIPT = ROOT / 'benchmarks' / 'warm_start.py'


def test_the_figure_and_its_numbers(tmp_path, monkeypatch, capsys):
    torch.save(random_vit('vit', img_size=64).state_dict(), tmp_path / 'vit.pth')
    for number in range(3):
        Image.effect_noise((80, 70), 50).save(tmp_path / f'{number}.png')
    command = (SCRIPT, tmp_path / 'vit.pth', '--calibrate', tmp_path, '--images', tmp_path, '--image-size', 64,
               '--process', 32, '--num-heads', 4, '--out', tmp_path / 'out')
    run_inside(monkeypatch, *command)
    record = json.loads((tmp_path / 'out' / 'warm_start.json').read_text())
    lines = record['process']['32']
    assert set(lines) == {'none', 'least_squares', 'anchored', 'prefix'}
    assert all(len(line['cosine']) == len(line['error']) == 3 for line in lines.values())
    assert lines['anchored']['error'][-1] < lines['none']['error'][-1] and lines['prefix']['error'][0] == 0
    assert set(record['memory']['32']) == {'none', 'least_squares', 'anchored'}
    assert '<svg' in (tmp_path / 'out' / 'warm_start.svg').read_text()
    assert 'there already' in error_inside(monkeypatch, capsys, *command)


def test_no_images(tmp_path, monkeypatch, capsys):
    torch.save(random_vit('vit').state_dict(), tmp_path / 'vit.pth')
    assert 'has no images' in error_inside(
        monkeypatch, capsys, SCRIPT, tmp_path / 'vit.pth', '--calibrate', tmp_path, '--images', tmp_path,
        '--image-size', 64, '--num-heads', 4, '--out', tmp_path / 'out')


def test_what_the_page_says_of_the_figure():
    """The calibration that is used is the nearest to the ViT at every block but the first."""
    record = json.loads((ROOT / 'docs' / 'figures' / 'warm_start.json').read_text())
    for lines in record['process'].values():
        assert lines['anchored']['cosine'][-1] > 0.99 > 0.95 > lines['least_squares']['cosine'][-1] > 0.9
        for place in range(1, 7):
            assert lines['anchored']['error'][place] < 0.5 * min(
                lines[name]['error'][place] for name in ('none', 'least_squares'))
    assert all(by_name['anchored'] > 0.97 for by_name in record['memory'].values())
