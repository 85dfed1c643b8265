"""Random command lines of the tools: options out of their own parsers, with values good and bad.

`python tests/command_lines.py RUNS [TOOL ...]` runs so many of each tool, and prints what was wrong, by cause.
"""
import argparse
import os
import random
import re
import runpy
import shutil
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from attacked_box import CONFIGS, RESULTS, STRANGE, copy_box, make_box
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tiny_models import ROOT
from watched_runs import faults, run, shell_command, signatures

TOOLS = ('benchmark.py', 'check_dataset.py', 'complexity.py', 'convert_checkpoint.py', 'draw_architecture.py', 'infer.py',
         'plot.py', 'test.py', 'train.py')
TAKES_MINUTES = {'compile', 'latency', 'paper', 'tta'}  # options that only appear with a wrong value, or not at all
LONG_BY_RIGHT = {'images', 'warmup', 'repeat'}  # a great number is a long run, and no fault

ANY_PATH = ['nowhere', 'nowhere/x.py', 'odd/file', 'odd/file/below', 'odd/folder', 'odd/empty', 'odd/dead', 'odd/loop',
            'odd/zero', 'odd/full', 'odd/null', 'odd/pipe', 'odd/socket', 'odd/read_only', 'odd/read_only/x',
            'odd/to_folder', '', ' ', '.', '..', '-', '~nobody/x', '~no_such_user/x', '~x', 'x' * 300, 'x/' * 2100,
            'esc\x1b[31m', 'line\nbreak', 'bell\x07\x7f', 'bidi\u202egpj', os.fsdecode(b'latin\xe9'), 'a b', 'ä', '%s{0}',
            'http://localhost:1/x.pth', 's3://bucket/x', 'work_dir=x', '*', '{x}', '[red]x', 'strange']
SPECIAL = [f'links/{kind}{{}}' for kind in ('pipe', 'zero', 'dead', 'sparse')]
GOOD = {
    'config': ['configs/tiny.py'],
    'weights': ['work/iter_2.pth', 'checkpoints/good.pth', 'checkpoints/weights.safetensors', 'odd/to_checkpoint.pth'],
    'media': ['images/a.jpg', 'images', 'images/short.avi', 'images/a.png', 'strange'],
    'results': ['results/good.json'],
    'data': ['toy', 'set'],
    'out': ['new', 'new/deep/er', 'odd/folder', 'earlier', 'esc\x1b[31m', os.fsdecode(b'latin\xe9')],
    'work': ['new', 'work', 'new/deep'],
    'file': ['new.json', 'new/deep/x.json', 'earlier/complexity.json'],
    'target': ['new.safetensors', 'new/deep/x.safetensors'],
    'device': ['cpu'],
    'number': ['1', '2'],
    'fraction': ['0.5', '0', '1'],
    'miou': ['segmenter_vittm_b_ade20k=45.2', 'segmenter_vittm_s_ade20k=40'],
    'segmentor': ['EncoderDecoder', 'SlideSegmentor', 'SlideSegmentor:bf16'],
    'text': ['A title', 'ä', ''],
    'setting': ['randomness.seed=3', 'log_level=WARNING', 'default_hooks.logger.interval=2',
                'val_evaluator.iou_metrics=[mIoU,mDice]', 'optim_wrapper.optimizer.lr=0.01', 'train_cfg.val_interval=1'],
}
BAD = {
    'config': [*(f'configs/{name}' for name in (*CONFIGS, 'folder.py', 'pipe.py', 'nested.py')), 'checkpoints/good.pth'],
    'weights': [f'checkpoints/{name}' for name in (
        'empty.pth', 'text.pth', 'cut.pth', 'lfs.pth', 'page.pth', 'code.pth', 'config.pth', 'bytes.safetensors',
        'empty.safetensors', 'long.safetensors', 'gzip.pth', 'noise.pth', 'nan.pth', 'no_weights.pth', 'no_meta.pth',
        'list.pth', 'other_weights.pth', 'other_shape.pth', 'text_weights.pth', 'two_classes.pth', 'classes_number.pth',
        'negative.pth', 'iter_text.pth', 'random.pth', 'optimizer.pth', 'wide.pth', 'zip.pth', 'folder.pth')] + [
            'configs/tiny.py', 'none'],
    'media': ['bad', 'bad/cut.jpg', 'bad/empty.jpg', 'bad/text.png', 'bad/lfs.jpg', 'bad/empty.mp4', 'bad/text.avi',
              'bad/no_image.txt', 'bad/folder.jpg', 'links', 'odd', *(f'strange/{name}' for name in STRANGE),
              'earlier/overlays', '-dash.jpg'],
    'results': [f'results/{name}' for name in RESULTS],
    'data': ['spoilt', 'images', 'configs', 'nowhere'],
    'out': ['images', 'work', 'toy', 'set/images', 'configs/tiny.py'],
    'work': ['images', 'configs/tiny.py'],
    'file': ['configs/tiny.py', 'earlier', 'x.txt'],
    'target': ['new.pth', 'checkpoints/weights.safetensors', 'checkpoints/good.pth', 'odd/to_checkpoint.pth', 'new'],
    'device': ['cuda', 'cuda:0', 'cuda:99', 'cpu:3', 'meta', 'foo', '', 'mps', 'xpu', 'privateuseone', 'cuda:-1', 'c\x1bpu'],
    'number': ['0', '-1', str(10**9), str(10**30), 'nan', 'text', '1.5', '', '１', '1_0', '1e3', '9' * 5000, '\x1b[31m'],
    'fraction': ['-1', '2', 'nan', 'inf', '1e400', 'text', '', '0x1', '0,5'],
    'miou': ['45', '=', 'a=b', 'nowhere=45', 'segmenter_vittm_b_ade20k=nan', 'segmenter_vittm_b_ade20k=101',
             'segmenter_vittm_b_ade20k=', '\x1b=3', 'segmenter_vittm_b_ade20k=1e400'],
    'segmentor': ['Foo', 'EncoderDecoder:fp99', ':', '', 'SlideSegmentor:bf16:fp16', 'ViTTM', 'nan', '\x1b[31m'],
    'text': ['$\\frac$', '\x1b[31m', 'x' * 5000, '\n\n', '$', os.fsdecode(b'\xff'), '\\N{', '{x}', '\ud83d\ude00'],
    'setting': [
        'foo', '=', 'a=', '=1', '..=1', 'a..b=1', 'a=b=c', 'model=3', 'model=None', 'model.type=Foo', 'model.type=None',
        'model.backbone.type=ViTTMM', 'model.backbone.arch.embed_dims=0', 'model.backbone.arch.embed_dims=7',
        'model.backbone.patch=8', 'model.decode_head.num_classes=0', 'model.decode_head.num_classes=2',
        'train_cfg.max_iter=3', 'train_cfg.max_iters=-5', 'train_cfg.max_iters=text', 'train_cfg=5', 'traincfg.max_iters=3',
        'total_batchsize=4', 'total_batch_size=0', 'total_batch_size=-2', 'total_batch_size=text',
        'train_dataloader.batch_size=0', 'train_dataloader.batch_size=-1', 'train_dataloader.num_workers=-1',
        'train_dataloader.num_workers=text', 'train_dataloader.sampler.type=Foo', 'train_dataloader.dataset.type=Foo',
        'train_dataloader=None', 'val_dataloader.batch_size=0', 'test_dataloader.num_workers=-1', 'test_dataloader=None',
        'randomness.seed=-1', 'randomness.seed=text', 'randomness.seed=1e99', 'randomness=5', 'randomness.sed=1',
        'val_evaluator.iou_metrics=[foo]', 'val_evaluator.type=Foo', 'test_evaluator.iou_metrics=[foo]', 'test_evaluator=[]',
        'optim_wrapper.optimizer.type=Foo', 'optim_wrapper.optimizer.lr=-1', 'optim_wrapper.optimizer.lr=nan',
        'optim_wrapper.optimizer.lr=text', 'optim_wrapper.type=Foo', 'optim_wrapper=None', 'optim_wrapper.clip_grad=text',
        'param_scheduler.0.type=Foo', 'param_scheduler.99.end=1', 'param_scheduler=3', 'default_hooks.checkpoint.interval=0',
        'default_hooks.checkpoint.interval=-1', 'default_hooks.checkpoint.type=Foo', 'default_hooks.foo.type=Foo',
        'custom_hooks=5', 'custom_hooks=[1]', 'default_scope=foo', 'visualizer.type=Foo', 'visualizer=3', 'vis_backends=[1]',
        'log_level=FOO', 'log_processor.window_size=0', 'env_cfg.dist_cfg.backend=foo', 'env_cfg=5', 'resume=5',
        'load_from=nowhere', 'load_from=checkpoints/nan.pth', 'load_from=links/pipe.pth', 'work_dir=odd/file',
        'work_dir=', 'work_dir=[1]', 'data_root=5', 'crop_size=[0,0]', 'train_pipeline.0.type=Foo', 'train_pipeline=5',
        'train_dataloader.dataset.pipeline.0.type=Foo', 'train_dataloader.dataset.pipeline=5',
        'test_dataloader.dataset.pipeline.0.foo=1', 'test_dataloader.dataset.data_prefix.img_path=5',
        'train_dataloader.dataset.num_train=0', 'train_dataloader.dataset.image_size=5', 'tta_model.type=Foo',
        'model.test_cfg.mode=foo', 'model.data_preprocessor.size=[0,0]', 'model.data_preprocessor.mean=text',
        'model.init_cfg=5', 'model.backbone.init_cfg.type=Foo', 'launcher=foo', '_base_=x', 'x' * 5000 + '=1',
        '\x1b[31m=1', 'model.\x1b[31m.x=1', 'a=[1', 'a=(1,(2', 'a=["\x1b"]', '0=1', 'model.0=1', 'custom_imports=5',
        'custom_imports.imports=[nowhere]', 'randomness.deterministic=text', 'compile=5', 'test_cfg=5', 'val_cfg=None'],
}
# What a value stands for, by the destination or the metavar of its option; other options by their type.
KINDS = {'config': 'config', 'configs': 'config', 'checkpoint': 'weights', 'source': 'weights', 'pretrained': 'weights',
         'input': 'media', 'files': 'results', 'data_root': 'data', 'out': 'out', 'show_dir': 'out', 'work_dir': 'work',
         'json': 'file', 'output': 'file', 'target': 'target', 'device': 'device', 'cfg_options': 'setting',
         'opacity': 'fraction', 'miou': 'miou', 'segmentor': 'segmentor', 'title': 'text', 'DIR': 'out', 'FILE': 'file',
         'N': 'number', 'int': 'number', 'positive': 'number', 'float': 'fraction'}
NOT_BESIDE = {'image_size': {'data_root'}, 'throughput': {'data_root', 'image_size'}, 'batch_size': {'config'},
              'device': {'config'}}
ENDINGS = {'config': '.py', 'weights': '.pth', 'results': '.json', 'file': '.json', 'target': '.safetensors',
           'media': '.jpg'}
OUTPUTS = {'out', 'work', 'file', 'target'}
PATHS = OUTPUTS | {'config', 'weights', 'media', 'results', 'data'}


class _Seen(Exception):
    """A parser was about to read the command line."""


def parser_of(tool: str) -> argparse.ArgumentParser:
    """The parser that a tool makes."""
    own, argv = argparse.ArgumentParser.parse_args, sys.argv

    def stop(parser, *arguments, **keywords):
        raise _Seen(parser)
    argparse.ArgumentParser.parse_args, sys.argv = stop, [tool, 'x']
    try:
        names = runpy.run_path(str(ROOT / 'tools' / tool), run_name='tool')
        names.get('parse_args', names['main'])()
    except _Seen as seen:
        return seen.args[0]
    finally:
        argparse.ArgumentParser.parse_args, sys.argv = own, argv
    raise AssertionError(f'{tool} reads no command line')


def kind_of(action: argparse.Action) -> str:
    """What the values of an option stand for."""
    names = [action.dest, *(action.metavar if isinstance(action.metavar, tuple) else [action.metavar]),
             getattr(action.type, '__name__', None)]
    return next((KINDS[name] for name in names if name in KINDS), 'text')


@dataclass(frozen=True)
class Line:
    """A command line.

    Attributes:
        tool: The tool.
        parts: Words that go together, such as an option with its values.
        outputs: Where it is told to write.
    """
    tool: str
    parts: tuple[tuple[str, ...], ...]
    outputs: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        return [word for part in self.parts for word in part]

    def __str__(self) -> str:
        return shell_command(self.tool, self.words)


def value(chance: random.Random, kind: str, bad: bool) -> str:
    """A value of a kind."""
    if not bad:
        return chance.choice(GOOD[kind])
    if kind not in PATHS:
        return chance.choice(BAD[kind])
    ending = ENDINGS.get(kind, '.mp4')
    special = [path.format(ending) for path in SPECIAL]
    named = [f'{path}{ending}' for path in ANY_PATH if path.isidentifier() or '\x1b' in path]
    return chance.choice(chance.choice([BAD[kind], BAD[kind] + special, ANY_PATH + named + special]))


def random_line(tool: str, parser: argparse.ArgumentParser, number: int) -> Line:
    """A command line of a tool, with no wrong value or a few.

    Args:
        tool: The tool.
        parser: Its parser.
        number: Which of all.
    """
    chance = random.Random(number)
    bad = chance.choice([0, 0.05, 0.1, 0.2, 0.4])
    parts, outputs, given = [], [], set()

    def spoilt() -> bool:
        return chance.random() < bad

    def one(action: argparse.Action) -> str:
        kind = kind_of(action)
        if action.choices:
            return chance.choice(['foo', '', '\x1b[31m'] if spoilt() or action.dest in TAKES_MINUTES else
                                 sorted(map(str, action.choices)))
        wrong = spoilt()
        if kind == 'number' and wrong and action.dest in LONG_BY_RIGHT:
            return chance.choice([word for word in BAD[kind] if len(word) < 9])
        chosen = value(chance, kind, wrong)
        if kind in OUTPUTS:
            outputs.append(chosen)
        if kind == 'setting' and chosen.startswith('work_dir='):
            outputs.append(chosen.partition('=')[2])
        return chosen

    def some(action: argparse.Action) -> list[str]:
        if action.nargs in ('+', '*'):
            return [one(action) for _ in range(chance.choice([1, 1, 2, 3]))]
        if action.nargs == '?':
            return [one(action)] * (chance.random() < (0.5 if action.option_strings else 0.9))
        return [one(action) for _ in range(action.nargs if isinstance(action.nargs, int) else 1)]

    for action in parser._actions:
        if action.dest == 'help' or action.dest in TAKES_MINUTES and (action.nargs == 0 or not spoilt()):
            continue
        if action.option_strings and (chance.random() > (0.97 if action.required else 0.2)
                                      or given & NOT_BESIDE.get(action.dest, set()) and not spoilt()):
            continue
        if not action.option_strings and spoilt() and spoilt():
            continue
        words = [] if action.nargs == 0 else some(action)
        given.add(action.dest)
        if action.option_strings:
            name = chance.choice(action.option_strings)
            words = [f'{name}={words[0]}'] if action.nargs == '?' and words else [name, *words]
        if words:
            parts.append(tuple(words))
    if spoilt() and spoilt():
        parts.append((chance.choice(['--foo', '--', '-x', '--out', '\x1b[31m', '--cfg-options']),))
    parts += [part for dest, part in SHORT.get(tool, {}).items() if dest not in given]
    return Line(tool, tuple(parts), (*outputs, *DEFAULT_OUTPUTS.get(tool, [])))


# Options without which a run would be long; defaults of where a tool writes.
SHORT = {'benchmark.py': {'images': ('--images', '1'), 'warmup': ('--warmup', '0')},
         'check_dataset.py': {'workers': ('--workers', '1')}}
DEFAULT_OUTPUTS = {'train.py': ['work_dirs'], 'test.py': ['work_dirs'],
                   'draw_architecture.py': ['docs/architecture.svg']}


def try_line(box: Path, line: Line) -> tuple[list[str], float]:
    """Runs a command line in a copy of a box; returns what was wrong, and the seconds it took."""
    folder = Path(tempfile.mkdtemp(dir=box.parent)) / 'box'
    folder.parent.chmod(0o755)
    try:
        copy_box(box, folder)
        before = signatures(folder)
        done = run(folder, line.tool, line.words)
        overwrites = '--overwrite' in line.words or line.tool == 'train.py'
        return faults(folder, before, done, line.tool, line.outputs, overwrites), done.seconds
    finally:
        os.system(f'chmod -R u+w {folder.parent}')  # noqa: S605
        shutil.rmtree(folder.parent)


def shortened(box: Path, line: Line, fault: str) -> Line:
    """Leaves out what a fault does not need."""
    for part in [*line.parts]:
        fewer = Line(line.tool, tuple(other for other in line.parts if other is not part), line.outputs)
        if cause(fault) in map(cause, try_line(box, fewer)[0]):
            line = fewer
    return line


def cause(fault: str) -> str:
    """A fault without what differs from run to run."""
    return re.sub(r"'[^']*'|\d{6,}", '…', fault)


def ready_box(folder: Path) -> Path:
    """Makes a box in a folder that everyone may enter."""
    folder.chmod(0o755)
    return make_box(folder / 'inputs')


def find_faults(box: Path, tool: str, runs: int, number: int | None = None) -> dict[str, list[tuple[Line, str, float]]]:
    """Runs random command lines of a tool; returns those with faults, by cause.

    Args:
        box: What `ready_box` made.
        tool: The tool.
        runs: How many.
        number: Which, as a seed; None for the same at every call.
    """
    found: dict[str, list] = defaultdict(list)
    parser = parser_of(tool)

    @settings(max_examples=runs, derandomize=number is None, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**64 - 1))
    def look(which: int) -> None:
        line = random_line(tool, parser, which)
        wrong, seconds = try_line(box, line)
        for fault in wrong:
            found[cause(fault)].append((line, fault, seconds))
    (look if number is None else seed(number)(look))()
    return found


def report(found: dict[str, list[tuple[Line, str, float]]]) -> str:
    """A text of faults by cause, each with one command that shows it."""
    parts = []
    for lines in sorted(found.values(), key=len, reverse=True):
        line, fault, _ = min(lines, key=lambda entry: len(entry[0].words))
        parts.append(f'{len(lines)} x {line.tool}: {fault}\n    {line}')
    return '\n'.join(parts)


if __name__ == '__main__':
    import mmseg.datasets  # noqa: F401
    import mmseg.engine  # noqa: F401
    import mmseg.evaluation  # noqa: F401
    import mmseg.models  # noqa: F401
    import mmseg.visualization  # noqa: F401
    count, number, *tools = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        box = ready_box(Path(folder))
        for tool in tools or TOOLS:
            text = report(find_faults(box, tool, int(count), int(number)))
            sys.stdout.write(f'== {tool}\n{text}\n')
            sys.stdout.flush()
