"""The paper's tables as models."""
import json

import pytest
import torch
from tiny_models import DATA

from mmseg_vittm.measure.complexity.paper import TABLES
from mmseg_vittm.measure.complexity.rows import Row


def test_figures_are_the_papers(shared):
    """Against the tables that were typed in independently of ours."""
    theirs = json.loads((shared / 'paper_tables.json').read_text())
    ours = {number: [(row.gflops, row.latency_ms, row.top1) for row in rows] for number, rows in TABLES.items()}
    table1 = theirs['table1']
    assert sorted(ours[1], key=str) == sorted(
        ((gflops, None, table1['top1'][fusion][head]) for head, gflops in table1['gflops'].items()
         for fusion in table1['top1']), key=str)
    for number in (2, 3, 4):
        rows = theirs[f'table{number}']['rows']
        assert ours[number] == [(row['gflops'], row['latency'], row['top1']) for row in rows]
    for number in (5, 8):
        assert [(row.name.replace('(', ' (').replace(', ', ','), row.params_m, row.gflops, row.latency_ms, row.top1)
                for row in TABLES[number]] == [tuple(row) for row in theirs['table8']['rows']]
        assert {row.table for row in TABLES[number]} == {number}


@pytest.mark.parametrize('number,manifest', [(-3, 'vittm_s_64_64'), (-2, 'vittm_b_64_64'), (-1, 'vittm_b_49_196')])
def test_dead_weights_are_those_of_the_authors_files(number, manifest):
    shapes = json.loads((DATA / 'manifests' / f'{manifest}.json').read_text())
    dead = [key for key in shapes if key in ('cls_token', 'pos_embed') or '_head.' in key and '.proj.' in key]
    if number < -1:  # where memory patches are 16 pixels, this is the memory's embedding under a second name
        dead += [key for key in shapes if key.startswith('patch_embed.')]
    assert TABLES[8][number].dead_parameters() == sum(torch.Size(shapes[key]).numel() for key in dead)


def test_a_row_builds_what_it_says():
    encoder = Row(0, 'x', 0, None, 0, arguments=dict(
        arch='tiny', process_patch_size=56, memory_patch_size=14, memory_mlp_ratio=0.5)).build().encoder
    assert encoder.grids(224, 224) == ((4, 4), (16, 16))
    assert encoder.blocks[0].memory_mlp.mlp.fc1.out_features == 96
