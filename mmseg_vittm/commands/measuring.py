"""What the command lines that measure share: which configs, in which ways, on which images."""
import argparse
import copy
import dataclasses

import torch
from rich.console import Console

from ..errors import InputError
from ..inference.precision import DTYPES, check_dtype
from ..measure.benchmark.building import Settings, build_for_measuring
from ..measure.benchmark.images import check_same_images, choose_source
from ..measure.benchmark.report import conditions_of
from ..measure.benchmark.subject import Subject
from ..measure.benchmark.turns import run_in_turns
from ..measure.conditions import describe_machine, resolve_device
from ..measure.records import is_unlike_use
from ..outputs import claim_file
from .configs.reading import check_data, load_config
from .configs.values import LARGEST_SIZE
from .options import add_checkpoint_options, add_config_options, add_speed_options, whole
from .progress import Reporter

positive = whole(1, 1 << 31)
pixels = whole(1, LARGEST_SIZE)


def add_measuring_options(parser: argparse.ArgumentParser, images: int | None, images_help: str, warmup: int) -> None:
    """Adds the configs and the options of all that measures to a parser.

    Args:
        parser: The parser.
        images: The default of `--images`.
        images_help: What its help says.
        warmup: The default of `--warmup`.
    """
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files; ratios are to the first')
    add_config_options(parser)
    parser.add_argument('--segmentor', nargs='+', metavar='TYPE[:DTYPE][:compile]',
                        help='segmentor classes to run each config in, with a dtype and compilation of their own where '
                        "they have them: EncoderDecoder SlideSegmentor:bf16:compile (default: the config's own)")
    parser.add_argument('--checkpoint', nargs='+', metavar='FILE',
                        help="a checkpoint per config, or 'none' (default: random weights, which take as long, except "
                        "in ALGM)")
    add_checkpoint_options(parser)
    parser.add_argument('--images', type=positive, metavar='N', default=images, help=images_help)
    parser.add_argument('--image-size', type=pixels, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                        help="size of synthetic images before the test pipeline (default: a mix like ADE20K's)")
    parser.add_argument('--warmup', type=whole(0, 1 << 31), metavar='N', default=warmup,
                        help='images before those that count (default: %(default)s)')
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: the GPU if there is one)')
    add_speed_options(parser)
    parser.add_argument('--threads', type=whole(1, 1024), metavar='N',
                        help="PyTorch's threads on the CPU (default: PyTorch's own choice)")
    parser.add_argument('--json', metavar='FILE', help='write the results there')
    parser.add_argument('--overwrite', action='store_true', help='replace FILE where it is there already')


def parse_measuring_args(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Returns the command line's arguments; ends the process with the usage where options contradict each other."""
    args = parser.parse_args()
    if args.image_size and args.data_root:
        parser.error('--image-size is for synthetic images: leave out --data-root')
    return args


def make_subjects(args: argparse.Namespace, kind: type[Subject] = Subject, batch_size: int = 1,
                  throughput: bool = False) -> list[Subject]:
    """Builds the subjects that a command line asks for: each config in each way, in order.

    Args:
        args: The arguments of `add_measuring_options`.
        kind: The class of the subjects.
        batch_size: Images (crops) per call.
        throughput: Measure random crops, forward only.

    Raises:
        CheckpointError: A checkpoint cannot be read, or does not fit.
        InputError: A config, file, device or option is wrong.
    """
    if args.json is not None:
        claim_file(args.json, args.overwrite)
    device = resolve_device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    settings = Settings(device, args.dtype, args.compile, batch_size, throughput, args.data_root is not None,
                        args.image_size, args.allow_partial)
    ways = ways_to_run(args.segmentor, settings)
    subjects = []
    for path, checkpoint in zip(args.configs, _checkpoints(args), strict=True):
        cfg = load_config(path, args.cfg_options, args.data_root, 'measure')
        if settings.real:
            check_data(cfg, ('test_dataloader', ))
        for segmentor, way in ways:
            own = copy.deepcopy(cfg)
            if segmentor is not None and 'model' in own:
                own.model.type = segmentor
            built = build_for_measuring(path, own, way, checkpoint)
            subjects.append(kind(built, choose_source(own, way), way))
    check_same_images([subject.source for subject in subjects], args.images)
    return subjects


def ways_to_run(segmentors: list[str] | None, settings: Settings) -> list[tuple[str | None, Settings]]:
    """Returns a segmentor class, None for the config's own, and settings per way in which each config is run.

    Args:
        segmentors: Values of `--segmentor`: TYPE[:DTYPE][:compile].
        settings: Those of ways that have no dtype or compilation of their own.

    Raises:
        InputError: A value is of another form, or the device does not have the dtype.
    """
    ways = []
    for text in segmentors or ['']:
        kind, *more = text.split(':')
        own = {'compile': True} if 'compile' in more else {}
        dtypes = [word for word in more if word != 'compile']
        if len(dtypes) > 1 or any(word not in DTYPES for word in dtypes) or segmentors and not kind:
            raise InputError(f'--segmentor {text}: give TYPE[:DTYPE][:compile] with a dtype of {sorted(DTYPES)}')
        own |= {'dtype': dtypes[0]} if dtypes else {}
        ways.append((kind or None, dataclasses.replace(settings, **own)))
        check_dtype(ways[-1][1].dtype, settings.device)
    return ways


def _checkpoints(args: argparse.Namespace) -> list[str | None]:
    """Returns a checkpoint or None per config."""
    if args.checkpoint is None:
        return [None] * len(args.configs)
    if len(args.checkpoint) != len(args.configs):
        raise InputError(f"--checkpoint: {len(args.checkpoint)} files for {len(args.configs)} configs; give one each, "
                         "'none' for random weights")
    return [None if name == 'none' else name for name in args.checkpoint]


def run_subjects(subjects: list[Subject], args: argparse.Namespace, console: Console, repeat: int = 1) -> None:
    """Says what is measured, and runs the subjects in turns, with progress; the calls stay with them."""
    console.print(describe_run(subjects), highlight=False)
    with Reporter(console, 'calls') as reporter:
        run_in_turns(subjects, args.images, args.warmup, repeat, reporter)


def describe_run(subjects: list[Subject]) -> str:
    """Returns the lines that a measurement begins with: the machine, number formats, and where images come from."""
    ways = [subject.settings for subject in subjects]
    formats = ' and '.join(dict.fromkeys(f'{way.dtype} {"compiled" if way.compile else "eager"}' for way in ways))
    sources = sorted({subject.source.describe() for subject in subjects})
    idle = dict.fromkeys(subject.path for subject in subjects if is_unlike_use(conditions_of(subject)))
    warnings = [f'{path}: how fast it is depends on its weights and on what images show; real images (--data-root) and '
                'trained weights (--checkpoint) measure that, not these' for path in idle]
    return '\n'.join([f'{describe_machine(ways[0].device)}, {formats}, batch {ways[0].batch_size}', *sources,
                      *warnings])
