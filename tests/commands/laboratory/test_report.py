"""The report of a laboratory: what it would write, looked at before anything long starts."""
import sys

import pytest
from laboratories import PLAN, write_laboratory

from mmseg_vittm.commands.laboratory.plan_file import read_plan
from mmseg_vittm.commands.laboratory.report import claim_report
from mmseg_vittm.errors import InputError


def test_what_pictures_need_is_looked_for_first(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'adjustText', None)
    with pytest.raises(InputError, match='adjustText, which is not installed: pip install'):
        claim_report(read_plan(write_laboratory(tmp_path)), tmp_path / 'out', True)


def test_two_pictures_of_one_name(tmp_path):
    rows = [row | dict(group=group) for row, group in zip(PLAN['rows'], ('warm start', 'warm_start'), strict=True)]
    with pytest.raises(InputError, match='two pictures would be curves_toy_warm_start; give groups and data sets oth'):
        claim_report(read_plan(write_laboratory(tmp_path, rows=rows)), tmp_path / 'out', True)
