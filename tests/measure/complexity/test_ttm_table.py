"""The cost table of the Token Turing Machine's slides, rebuilt."""
import io
import re

import pytest
from rich.console import Console

from mmseg_vittm.measure.complexity import ttm_growth, ttm_table
from mmseg_vittm.measure.complexity.counting import multiply_adds
from mmseg_vittm.measure.complexity.ttm_models import on_meta


@pytest.fixture(scope='module')
def records() -> list[dict]:
    return ttm_table.rebuild_steps()


@pytest.mark.parametrize('row', ttm_table.ROWS, ids=lambda row: row.name)
def test_costs_are_the_slides(row, records):
    record, = (one for one in records if one['row'] == row.name)
    assert record['gflops'] == pytest.approx(row.gflops, rel=0.03)
    assert record['gflops_fvcore'] == pytest.approx(row.gflops, rel=0.035)
    assert record['gflops_fvcore'] > record['gflops'] == ttm_table.gflops(row)
    assert (record['gflops_slides'], record['map_slides']) == (row.gflops, row.map_percent)


def test_norms_explain_what_is_missing_of_the_machines(records):
    ours = [one for one in records if one['row'].startswith('TTM')]
    assert len(ours) == 4
    for one in ours:
        assert abs(ttm_table.difference(one, 'gflops_fvcore')) < min(0.013, abs(ttm_table.difference(one)))


def test_figures_are_those_of_the_slides(shared):
    """Each GFLOPs and mAP as the page on the machine quotes it."""
    page = ' '.join((shared / 'ttm.md').read_text().split())
    for name, quoted in (('TTM-Mixer, N = 16', r'N = 16: (\S+) / (\d\.\d+);'),
                         ('TTM-Transformer, N = 16', r'TTM-Transformer (\S+) / (\S+);'),
                         ('TTM-Mixer, N = 3136', r'N = 3136: (\S+) / (\S+) and'),
                         ('TTM-Transformer, N = 3136', r'/ 0\.704 and (\S+) / (\d\.\d+)\.'),
                         ('LSTM', r'LSTM (\S+) / (\S+);'),
                         ('causal transformer, 96 tokens', r'over 96 tokens (\S+) / (\d\.\d+),'),
                         ('causal transformer, 3360 tokens', r'over 3360 tokens (\S+) / (\S+);'),
                         ('temporal transformer', r'temporal transformer (\S+) / (\S+);'),
                         ('recurrent transformer, 16 + 16 tokens', r'16\+16 tokens (\S+) / (\d\.\d+)\.')):
        row, = (one for one in ttm_table.ROWS if one.name == name)
        assert [row.map_percent, row.gflops] == [float(number) for number in re.search(quoted, page).groups()]
    assert f'ViViT alone {ttm_table.VIVIT_ALONE}' in page and len(ttm_table.ROWS) == 9


def test_what_is_printed(records):
    console = Console(file=io.StringIO(), width=120)
    console.print(ttm_table.steps_table(records))
    said = console.file.getvalue()
    line, = (line for line in said.splitlines() if 'causal transformer, 96' in line)
    assert all(word in line for word in ('9.46', '0.523', '0.538', '+2.9%', '0.539', '+3.1%', '25.85'))
    assert 'LSTM alone' not in said
    under = '\n'.join(ttm_table.notes(records))
    assert 'largest differences are 2.9% without and 3.1% with them' in under
    assert '- LSTM: a state for each of 16 tokens' in under and '- LSTM alone, of one pooled token: 0.005' in under


def test_other_readings_do_not_give_the_slides_figures(records):
    """Otherwise they would be in the table."""
    for name, gflops in (('LSTM', 0.107), ('causal, 96', 0.523), ('causal, 3360', 29.695)):
        others = [one['gflops'] for one in records if one['gflops_slides'] is None and one['row'].startswith(name)]
        assert len(others) > 1 and all(abs(other / gflops - 1) > 0.05 for other in others)


def test_a_step_of_the_machine_costs_the_same_however_long_the_video():
    machine = on_meta(lambda: ttm_table.machine('mixer').machine)
    costs = [multiply_adds(machine, (1, steps, 16, ttm_table.DIMS))[0] for steps in (1, 3, 8)]
    assert costs == [costs[0], 3 * costs[0], 8 * costs[0]]
    assert costs[0] / 1e9 == ttm_growth.count_growth([1])[1].gflops[0]


def test_growth():
    """Causal attention by hand, in 4 layers of width 768: with t - 1 frames of 16 tokens before."""
    steps = (1, 2, 7, 1000)
    *flat, kept, anew = ttm_growth.count_growth(steps)
    assert [one.name for one in flat] == ['TTM-Transformer', 'TTM-Mixer', 'LSTM']
    assert all(len(set(one.gflops)) == 1 and not one.grows for one in flat)
    for number, step in enumerate(steps):
        own = 4 * 16 * (4 * 768**2 + 2 * 768 * 512) + 4 * 2 * 16 * 16 * step * 768
        assert kept.gflops[number] * 1e9 == pytest.approx(own)
        assert anew.gflops[number] * 1e9 == pytest.approx(own + 4 * 2 * 16 * (step - 1) * 768**2)
    assert kept.grows and anew.grows
    record = ttm_growth.growth_records([kept])[0]
    assert record['steps'] == list(steps) and record['gflops'] == list(kept.gflops)
    assert ttm_growth.STEPS[0] == 1 and ttm_growth.STEPS[-1] == 10000
