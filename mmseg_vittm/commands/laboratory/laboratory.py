"""A plan with its work dir: the config of every run, and what is there of it."""
import copy
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ...engine.amp import use_amp
from ...engine.state.saved_settings import read_settings, settings_of
from ...engine.work_dir.resume import checkpoints_in
from ...errors import CheckpointError, DataError, InputError
from ...outputs import write_whole
from ...weights.whole_model import read_checkpoint
from ..configs.checks import check_config
from ..configs.reading import check_data, load_config, set_data_root
from ..configs.settings import change_settings
from ..jobs import set_warm_start
from .on_data import on_data
from .plan import Plan, Run
from .same_settings import differing, same_file

CHECKPOINT = 'iter_{}.pth'
SHOWN = 5  # settings that differ which an error names


class Laboratory:
    """A plan with its work dir, in which a run has the folder DATA/ROW/seedN.

    Args:
        plan: The plan.
        work_dir: The folder of all runs.
        data_roots: Folders of data, by the data set's name.

    Raises:
        InputError: A folder is given for a data set that the plan has not.
    """

    def __init__(self, plan: Plan, work_dir: str | Path, data_roots: dict[str, str] | None = None):
        self.plan, self.work_dir, self.data_roots = plan, Path(work_dir), data_roots or {}
        for name in self.data_roots:
            if name not in plan.data:
                raise InputError(f'{plan.path}: has no data set {name}; it has {", ".join(plan.data)}')
        self._configs: dict[tuple[str, str], Config] = {}
        self._looked_at: set[tuple] = set()  # checkpoints of the right settings, by what tells files apart

    def config(self, data: str, row: str) -> Config:
        """Returns the config of a row on a data set, with the settings that the plan gives both; the caller's own.

        Raises:
            InputError: A config or a setting is wrong, or it is not trained by iterations.
        """
        if (data, row) not in self._configs:
            cfg = load_config(self.plan.rows[row].config)
            if self.plan.data[data].config is not None:
                cfg = on_data(cfg, load_config(self.plan.data[data].config))
            options = self.plan.data[data].cfg_options | self.plan.rows[row].cfg_options
            if options:
                change_settings(cfg, options)
            check_config(cfg, 'train')
            if data in self.data_roots:
                set_data_root(cfg, self.data_roots[data])
            if type(cfg.train_cfg.get('max_iters')) is not int:
                raise InputError(f'{cfg.filename}: train_cfg has no max_iters; the laboratory trains by iterations')
            self._configs[data, row] = cfg
        return copy.deepcopy(self._configs[data, row])  # building a model changes it

    def check_data(self, run: Run, loaders: tuple[str, ...]) -> None:
        """Checks that the data of a run are there.

        Args:
            run: The run.
            loaders: Names of the dataloaders that will be used.

        Raises:
            InputError: A folder is missing or empty.
        """
        try:
            check_data(self.config(run.data, run.row), loaders)
        except DataError as error:
            raise InputError(str(error).replace('data_root=', f'data_root={run.data}=')) from error

    def write_config(self, run: Run) -> Path:
        """Writes the config that a run is trained with, but for its seed, and returns its path."""
        path = self.config_file(run)
        text = self.config(run.data, run.row).pretty_text
        if not path.is_file() or path.read_text(encoding='utf-8') != text:
            write_whole(path, text)
        return path

    def config_file(self, run: Run) -> Path:
        """Returns where the config of a run is."""
        return self.work_dir / run.data / f'{run.row}.py'

    def folder(self, run: Run) -> Path:
        """Returns the work dir of a run."""
        return self.work_dir / run.data / run.row / f'seed{run.seed}'

    def iterations(self, run: Run) -> int:
        """Returns how many iterations a run has."""
        return self.config(run.data, run.row).train_cfg.max_iters

    def checkpoint(self, run: Run) -> Path:
        """Returns where the last checkpoint of a run is once it is done."""
        return self.folder(run) / CHECKPOINT.format(self.iterations(run))

    def done_iterations(self, run: Run) -> int:
        """Returns how many iterations of a run are saved."""
        found = checkpoints_in([self.folder(run)], (CHECKPOINT, ))
        return int(found[0].stem.split('_')[1]) if found else 0

    def source(self, name: str, run: Run) -> str:
        """Returns the checkpoint that a run names as its warm start or teacher."""
        found = self.plan.named(name, run)
        return name if found is None else str(self.checkpoint(found))

    def sources(self, run: Run) -> dict[str, str]:
        """Returns the SHA-256 of the checkpoints that a run begins from and is taught by, by their path."""
        row = self.plan.rows[run.row]
        names = [row.warm_start] * bool(row.warm_start) + list(row.teacher[-1:])
        found = {self.source(name, run): self.plan.named(name, run) for name in names}
        return {path: _sha256(_signature(Path(path))) for path, needed in found.items()
                if needed is None or self.is_done(needed)}

    def note_sources(self, run: Run) -> None:
        """Keeps what a run that begins now begins from."""
        if self.done_iterations(run) == 0 and (found := self.sources(run)):
            write_whole(self._sources_file(run), json.dumps(found, indent=1) + '\n')

    def _sources_file(self, run: Run) -> Path:
        folder = self.folder(run)
        return folder.with_name(f'{folder.name}.sources.json')

    def _check_sources(self, run: Run, path: Path) -> None:
        try:
            noted = json.loads(self._sources_file(run).read_text(encoding='utf-8'))
        except (FileNotFoundError, ValueError):  # nothing to begin from, or trained without the laboratory
            return
        for source, found in self.sources(run).items():
            if any(same_file(name, source) and before != found for name, before in noted.items()):
                raise InputError(f'{path}: {source}, from which {run} began, has changed since; to train it afresh, '
                                 f'move {path.parent} away')

    def words(self, run: Run) -> list[str]:
        """Returns the arguments of `tools/train.py` for a run."""
        row = self.plan.rows[run.row]
        words = [str(self.config_file(run)), '--work-dir', str(self.folder(run)), '--resume=auto', '--cfg-options',
                 f'randomness.seed={run.seed}']
        words += ['--amp'] * self.plan.amp
        if row.warm_start:
            words += ['--warm-start', self.source(row.warm_start, run)]
        if row.teacher:
            words += ['--teacher', *self.teacher(run)]
        return words

    def teacher(self, run: Run) -> tuple[str, str]:
        """Returns the config and the checkpoint of what teaches a run."""
        *config, name = self.plan.rows[run.row].teacher
        found = self.plan.named(name, run)
        return (config[0] if found is None else str(self.config_file(found))), self.source(name, run)

    def settings(self, run: Run) -> dict[str, Any]:
        """Returns the settings that a run is trained with, as its checkpoints say them."""
        cfg = self.config(run.data, run.row)
        change_settings(cfg, {'randomness.seed': run.seed})
        row = self.plan.rows[run.row]
        if self.plan.amp:
            use_amp(cfg)
        if row.warm_start:
            set_warm_start(cfg, self.source(row.warm_start, run))
        if row.teacher:
            cfg.merge_from_dict({'distillation.teacher': dict(zip(('config', 'checkpoint'), self.teacher(run),
                                                                  strict=True))})
        return settings_of(cfg)

    def is_done(self, run: Run) -> bool:
        """Returns whether a run is done: its last checkpoint is there, whole, trained with the plan's settings.

        Raises:
            InputError: What is in its folder was trained with other settings, or from what has changed since.
        """
        for path in checkpoints_in([self.folder(run)], (CHECKPOINT, )):
            if _signature(path) not in self._looked_at:
                try:
                    checkpoint = read_checkpoint(str(path))
                except CheckpointError:  # the run goes on from an earlier one
                    continue
                self._check_settings(run, path, read_settings(checkpoint))
                self._looked_at.add(_signature(path))
            self._check_sources(run, path)  # each time: they may be trained anew meanwhile
            return path == self.checkpoint(run)
        return False

    def _check_settings(self, run: Run, path: Path, old: dict[str, Any] | None) -> None:
        found = ['it does not say its settings'] if old is None else differing(old, self.settings(run))
        if found:
            more = f' and {len(found) - SHOWN} more' if len(found) > SHOWN else ''
            raise InputError(f'{path}: trained with other settings than {self.plan.path} gives {run}: '
                             f'{"; ".join(found[:SHOWN])}{more}; to train it afresh, move {path.parent} away or give '
                             'another work_dir=DIR; to keep it, give the plan its settings')

    def identity(self, run: Run) -> str:
        """Returns what tells the last checkpoint of a run that is done from any other: its SHA-256."""
        return _sha256(_signature(self.checkpoint(run)))


@functools.cache
def _sha256(signature: tuple) -> str:
    return hashlib.sha256(Path(signature[0]).read_bytes()).hexdigest()


def _signature(path: Path) -> tuple:
    """Returns what changes when a file is written anew."""
    found = path.stat()
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns
