"""What a survey has found, as tables, sentences and files."""
import csv

import numpy as np

from mmseg_vittm.datasets.report import FILES, fault_table, unseen_classes, write_report
from mmseg_vittm.datasets.survey import ALL, Fault, Findings


def found(**changes) -> Findings:
    images = {ALL: np.array([3, 0, 2]), 'train': np.array([3, 0, 0]), 'val': np.array([0, 0, 2])}
    return Findings(**dict(
        faults=[Fault('[a] \udcff.png', 'bad', 'mend it'), Fault('b.png', 'worse', 'mend it')],
        classes=['sky', 'road', 'tree'], files=10, images=images,
        pixels={split: 5 * counts for split, counts in images.items()}) | changes)


def test_table_of_faults_has_names_as_they_are():
    table = fault_table(found().faults, 1)
    assert table.title == '2 problems' and table.row_count == 1
    assert [*table.columns[0].cells] == [r'\[a] \udcff.png'] and [*table.columns[2].cells] == ['mend it']


def test_classes_that_are_not_there():
    assert [*unseen_classes(found(), ['train', 'val'])] == [
        'Never seen in any split: 1 of 3 classes (road)', 'Never seen in train, but elsewhere: 1 of 3 classes (tree)',
        'Never seen in val, but elsewhere: 1 of 3 classes (sky)']


def test_files(tmp_path):
    write_report(tmp_path, found(), ['train', 'val'], 'my set')
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    with open(tmp_path / 'problems.csv', encoding='utf-8', errors='surrogateescape', newline='') as file:
        assert [row['file'] for row in csv.DictReader(file)] == ['[a] \udcff.png', 'b.png']
    assert (tmp_path / 'classes.csv').read_text().split() == [
        'class,pixels,images_train,images_val', 'sky,15,3,0', 'road,0,0,0', 'tree,10,0,2']
    write_report(tmp_path, found(classes=[]), ['train'], 'my set')
    assert (tmp_path / 'classes.csv').read_text().split() == ['class,pixels,images_train']
