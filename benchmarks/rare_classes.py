"""Prints what helps rare classes: python benchmarks/rare_classes.py benchmarks/rare_classes/results.json

Two tables in Markdown, of results of tools/laboratory.py on CamVid: its mIoU, and the IoU of its five rarest classes,
all means over seeds, in percent.
"""
import argparse
import json
from pathlib import Path

import numpy as np

CLASSES = ('sign symbol', 'fence', 'pole', 'pedestrian', 'bicyclist')  # from 1.2% to 0.3% of the pixels


def table(results: dict, way: str) -> str:
    """Returns the table of one way of scoring ('' or 'windows'), rows in the plan's order."""
    ending = f', {way}' if way else ''
    lines = [f'| {" | ".join(("trained with", "mIoU", "seeds", *CLASSES, "shift mIoU"))} |', '|---|' + 8 * '---:|']
    for row in results['rows']:
        if row['way'] == way:
            scores = [seed['scores'] for seed in row['seeds'].values()]
            found, shifted = ([score[name] for score in scores] for name in ('validation', 'shift'))
            means = [np.mean([score['IoU'][name] for score in found]) for name in CLASSES]
            means.append(np.mean([score['mIoU'] for score in shifted]))
            each = [score['mIoU'] for score in found]
            cells = (f'{np.mean(each):.2f}', ', '.join(f'{one:.2f}' for one in each), *(f'{one:.2f}' for one in means))
            lines.append(f'| {row["name"].removesuffix(ending)} | {" | ".join(cells)} |')
    return '\n'.join(lines)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('results', type=Path, help='results.json of the laboratory')
    found = json.loads(parser.parse_args().results.read_text(encoding='utf-8'))
    for title, kind in (('Sliding windows of 192 x 192', 'windows'), ('Whole images', '')):
        print(f'{title}:\n\n{table(found, kind)}\n')
