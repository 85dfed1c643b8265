"""`benchmarks/rare_classes.py`, and the tables that docs/rare_classes.md has of it."""
import subprocess
import sys
from pathlib import Path

from tiny_models import ROOT

SCRIPT, RESULTS = ROOT / 'benchmarks' / 'rare_classes.py', ROOT / 'benchmarks' / 'rare_classes' / 'results.json'


def test_the_page_has_the_tables_of_the_results():
    done = subprocess.run([sys.executable, SCRIPT, RESULTS], capture_output=True, text=True, check=True)
    tables = done.stdout.strip()
    assert tables.count('| class_weight |') == 2
    assert tables in Path(ROOT, 'docs', 'rare_classes.md').read_text(encoding='utf-8')
