"""Scores and times what segments videos: python benchmarks/videos.py PLAN --data-root NAME=DIR ... --runs DIR -o DIR

For each data set and row of a plan (`benchmarks/videos/plan.yaml`) it takes the checkpoints of all seeds, which
`tools/train.py` has written to RUNS/CONFIG/seedN, scores them by the config's own test set and metric, and times them
in turns. Writes `results.json`, `table.md` and, per data set, `DATA.svg`: mVC8 over mIoU.
"""
import argparse
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch
import yaml
from matplotlib.figure import Figure
from mmengine.logging import MMLogger
from mmengine.registry import METRICS, DefaultScope
from mmengine.runner import Runner
from torch import Tensor, nn

from mmseg_vittm import load_model, optimize
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.options import run, whole
from mmseg_vittm.commands.progress import Reporter, open_console
from mmseg_vittm.engine.checked_data import checked
from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.conditions import describe_machine, resolve_device, synchronize, versions
from mmseg_vittm.outputs import claim_folder, write_whole
from mmseg_vittm.visualization.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    add_notes,
    house_style,
    new_figure,
    render_files,
)

SCORES = ('mIoU', 'mIoU_hidden', 'mVC8', 'mVC16', 'flips')
LOOKS = {'frame': (BLUE, 's'), 'ttm': (RED, 'o'), 'past': (GREEN, '^'), 'present': (ORANGE, 'D')}
TIMED = 40  # frames, after warm-up
SAFE, GREY_LEVEL = 8, 110  # frames that are not lost, and what shows of those that are


@dataclass
class Row:
    """A row on a data set.

    Attributes:
        name: Of its config and checkpoints.
        title: What the table calls it.
        smoothing: Weight of the past in smoothed logits.
        scores: By name, one per seed.
        ms: Milliseconds per frame; None until they are measured.
        ratio: Median over frames of its time over that of the first row.
    """
    name: str
    title: str
    smoothing: float = 0.0
    scores: dict[str, list[float]] = field(default_factory=dict)
    ms: float | None = None
    ratio: float | None = None


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description='Scores and times what segments videos.')
    parser.add_argument('plan', help='such as benchmarks/videos/plan.yaml')
    parser.add_argument('--data-root', nargs='+', required=True, metavar='NAME=DIR', help='where the data sets are')
    parser.add_argument('--runs', required=True, metavar='DIR', help='folder of the checkpoints')
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: the GPU if there is one)')
    parser.add_argument('--threads', type=whole(1, 1024), default=1, help="of PyTorch's (default: %(default)s)")
    parser.add_argument('-o', '--out', required=True, metavar='DIR', help='folder of the results')
    parser.add_argument('--overwrite', action='store_true', help='replace them')
    parser.add_argument('--keep-scores', action='store_true',
                        help="keep the scores of the folder's results.json, and time anew; on a quiet machine")
    return parser.parse_args()


@contextlib.contextmanager
def without_tables() -> Iterator[None]:
    """Keeps metrics from logging a table of classes for each row."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        yield
    finally:
        logger.setLevel(level)


class Set:
    """A data set of the plan: its rows' models, its frames and its metric.

    Args:
        entry: The plan's: `name`, `title` and `config`, a pattern of paths; `root`, the name by which the command line
            tells where it is, its own unless set; and `lost`, the share of frames that the camera loses, none unless
            set.
        rows: The plan's.
        seeds: Of the checkpoints.
        root: Where the data is.
        runs: Folder of the checkpoints.
        device: Where models run.
    """

    def __init__(self, entry: dict, rows: Sequence[dict], seeds: Sequence[int], root: str, runs: Path,
                 device: torch.device):
        self.name, self.title, self.pattern, self.seeds = entry['name'], entry['title'], entry['config'], seeds
        self.root, self.runs, self.device, self.lost = root, runs, device, entry.get('lost', 0)
        self.rows = [Row(**row) for row in rows]
        cfg = self.config(self.rows[0])
        loader = dict(cfg.test_dataloader, dataset=checked(cfg.test_dataloader.dataset), num_workers=0,
                      persistent_workers=False)
        with DefaultScope.overwrite_default_scope('mmseg'):
            self.loader = Runner.build_dataloader(loader)
            self.metric = METRICS.build(cfg.test_evaluator)
        self.metric.dataset_meta = self.loader.dataset.metainfo

    def config(self, row: Row):
        """Returns a row's config."""
        return load_config(self.pattern.format(row.name), data_root=self.root, job='test')

    def checkpoint(self, row: Row, seed: int) -> Path:
        """Returns the last checkpoint of a row and seed."""
        folder = self.runs / Path(self.pattern.format(row.name)).stem / f'seed{seed}'
        found = sorted(folder.glob('iter_*.pth'), key=lambda path: int(path.stem.split('_')[1]))
        if not found:
            raise InputError(f'{folder}: has no checkpoint; train {self.pattern.format(row.name)} there')
        return found[-1]

    def model(self, row: Row, seed: int) -> nn.Module:
        """Returns a row's model with the weights of a seed, optimized."""
        model = optimize(load_model(self.config(row), str(self.checkpoint(row, seed)), str(self.device)))
        model.test_cfg['smoothing'] = row.smoothing
        return model

    def take_scores(self, earlier: Sequence[dict]) -> None:
        """Takes the scores of rows that were scored before, as `results.json` has them."""
        for row in self.rows:
            row.scores = next((one['scores'] for one in earlier
                               if (one['name'], one['smoothing']) == (row.name, row.smoothing)), {})

    def score(self, row: Row, seed: int) -> None:
        """Scores a row's model of a seed."""
        model = self.model(row, seed)
        with torch.no_grad():
            for number, batch in enumerate(self.loader):
                batch['inputs'] = [without_some(image, number, self.lost) for image in batch['inputs']]
                self.metric.process(batch, [sample.to_dict() for sample in model.test_step(batch)])
        with without_tables():
            found = self.metric.evaluate(len(self.loader.dataset))
        for name in SCORES:
            if name in found:
                row.scores.setdefault(name, []).append(float(found[name]))

    def time(self, frames: int = TIMED, warmup: int = 5) -> None:
        """Times all rows in turns, frame by frame."""
        models = [self.model(row, self.seeds[0]) for row in self.rows]
        states, times = [None] * len(models), [[] for _ in models]
        batches = (batch for _ in range(frames + warmup) for batch in self.loader)
        for number in range(frames + warmup):
            data = models[0].data_preprocessor(next(batches), False)
            for place, model in enumerate(models):
                synchronize(self.device)
                start = time.perf_counter()
                with torch.no_grad():
                    _, states[place] = model.segment(data['inputs'], data['data_samples'], states[place])
                synchronize(self.device)
                if number >= warmup:
                    times[place].append(1000 * (time.perf_counter() - start))
        for row, own in zip(self.rows, times, strict=True):
            row.ms = round(median(own), 2)
            row.ratio = round(median(a / b for a, b in zip(own, times[0], strict=True)), 3)


def without_some(image: Tensor, number: int, share: float) -> Tensor:
    """Returns an image (3, H, W) uint8, or what a camera gives that loses a share of its frames: grey, with noise.

    Which are lost depends on the frame's number alone; the first `SAFE` are not.
    """
    rng = np.random.default_rng([SAFE, number])
    if number < SAFE or rng.random() >= share:
        return image
    noise = rng.normal(GREY_LEVEL, rng.uniform(0, 60), image.shape)
    return torch.from_numpy(noise.clip(0, 255)).to(image)


def earlier_scores(path: Path) -> dict[str, list[dict]]:
    """Returns the rows of each data set of an earlier `results.json`."""
    if not path.is_file():
        raise InputError(f'{path}: is not there, so that there are no scores to keep; leave --keep-scores out')
    return json.loads(path.read_text())['data']


def table(data: Set) -> str:
    """Returns a data set's table, in Markdown."""
    names = [name for name in SCORES if name in data.rows[0].scores]
    lines = [f'### {data.title}', '', '| | ' + ' | '.join(names) + ' | ms per frame | over the first |',
             '|---' * (len(names) + 3) + '|']
    for row in data.rows:
        cells = [f'{mean(row.scores[name]):.2f} ({", ".join(f"{one:.2f}" for one in row.scores[name])})'
                 for name in names]
        lines.append(f'| {row.title} | ' + ' | '.join(cells) + f' | {row.ms:.1f} | {row.ratio:.3f} |')
    return '\n'.join(lines) + '\n'


def figure_of(data: Set, notes: str) -> Figure:
    """Draws mVC8 over mIoU: rows of one model, which smoothing tells apart, are joined."""
    figure = new_figure(3.6)
    axes = figure.subplots()
    for name in dict.fromkeys(row.name for row in data.rows):
        colour, marker = LOOKS.get(name, (GREY, 'x'))
        rows = sorted((row for row in data.rows if row.name == name), key=lambda row: row.smoothing)
        points = [(mean(row.scores['mIoU']), mean(row.scores['mVC8'])) for row in rows]
        axes.plot(*zip(*points, strict=True), color=colour, marker=marker, lw=0.8, ms=5)
        axes.annotate(rows[0].title, points[0], xytext=(5, -9), textcoords='offset points', color=colour)
        for row, point in zip(rows[1:], points[1:], strict=True):
            axes.annotate(f'{row.smoothing:g}', point, xytext=(5, -3), textcoords='offset points', color=colour)
    axes.set(xlabel='mIoU (%)', ylabel='mVC8 (%)')
    axes.margins(0.18)
    axes.grid()
    add_notes(figure, [notes])
    return figure


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    plan = yaml.safe_load(Path(args.plan).read_text())
    roots = dict(pair.split('=', 1) for pair in args.data_root)
    device, console = resolve_device(args.device), open_console()
    earlier = earlier_scores(Path(args.out) / 'results.json') if args.keep_scores else {}
    names = ['results.json', 'table.md', *(f'{entry["name"]}.svg' for entry in plan['data'])]
    claim_folder(args.out, names, args.overwrite or args.keep_scores)
    for entry in plan['data']:
        entry.setdefault('root', entry['name'])
    sets = [Set(entry, plan['rows'], plan['seeds'], roots[entry['root']], Path(args.runs), device)
            for entry in plan['data'] if entry['root'] in roots]
    for data in sets:
        data.take_scores(earlier.get(data.name, []))
    steps = [(data, row, seed) for data in sets for row in data.rows if not row.scores for seed in data.seeds]
    with Reporter(console, 'models') as reporter:
        for number, (data, row, seed) in enumerate(steps, 1):
            data.score(row, seed)
            reporter(number, len(steps), f'{data.name}, {row.title}')
    for data in sets:
        data.time()
    conditions = dict(device=describe_machine(device), dtype='fp32', versions=versions(), seeds=plan['seeds'],
                      timer=f'segment, labels included, without loading; medians of {TIMED} frames, all rows in turns')
    notes = f'Means of {len(plan["seeds"])} seeds; numbers beside marks are weights of the past in smoothed logits.'
    write_whole(Path(args.out) / names[0], json.dumps(
        dict(conditions, data={data.name: [vars(row) for row in data.rows] for data in sets}), indent=2) + '\n')
    write_whole(Path(args.out) / names[1], f'{conditions["device"]}, float32.\n\n' + '\n'.join(map(table, sets)))
    with house_style():
        for data in sets:
            write_whole(Path(args.out) / f'{data.name}.svg', render_files(figure_of(data, notes))['svg'])


if __name__ == '__main__':
    run(main)
