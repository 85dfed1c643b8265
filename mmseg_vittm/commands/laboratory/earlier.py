"""An earlier report's results, which stand in for runs that a work dir lacks."""
import json
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ...engine.state.saved_settings import plain
from ...errors import InputError
from .laboratory import Laboratory
from .plan import DataSet, Row, Run
from .scoring import ways
from .speed import model_key


def row_settings(row: Row, cfg: Config) -> dict[str, Any]:
    """Returns what results say of how a row is trained and what it is, by which rows of two reports are the same."""
    return dict(config=row.config, cfg_options=plain(row.cfg_options), warm_start=row.warm_start,
                teacher=list(row.teacher), iterations=cfg.train_cfg.max_iters, model=model_key(cfg))


def data_settings(data: DataSet) -> dict[str, Any]:
    """Returns what results say of a data set, by which those of two reports are the same."""
    return dict(config=data.config, image_size=list(data.image_size), cfg_options=plain(data.cfg_options))


class Earlier:
    """The runs of an earlier report that are of the rows of a laboratory.

    Args:
        path: Its `results.json`; None for nothing earlier.
        laboratory: The laboratory.

    Attributes:
        others: For each row there that has a name of ours and is another one, a sentence on what differs.

    Raises:
        InputError: The file is no such report, or of trainings in another precision.
    """

    def __init__(self, path: str | Path | None, laboratory: Laboratory):
        self.others: list[str] = []
        self._seeds: dict[tuple[str, str, str], dict[str, dict]] = {}
        if path is not None:
            self._read(path, laboratory)

    def _read(self, path: str | Path, laboratory: Laboratory) -> None:
        plan = laboratory.plan
        try:
            content = json.loads(Path(path).read_text(encoding='utf-8'))
            amp = bool(content['plan'].get('amp'))
            found = {(one['data'], one['row'], one['way']): one for one in content['rows']}
            source, about = dict(commit=content['commit'], date=content['date']), dict(content['data'])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f'earlier={path}: no results.json of a report of the laboratory ({error})') from error
        if amp != plan.amp:
            raise InputError(f'earlier={path}: trained with amp: {str(amp).lower()}, {plan.path} has amp: '
                             f'{str(plan.amp).lower()}; all of a table have the same')
        for data in plan.data:
            for row in plan.rows.values():
                if data not in plan.data_of(row):
                    continue
                for way, cfg in ways(laboratory, data, row.name).items():
                    one = found.get((data, row.name, way))
                    if one is None:
                        continue
                    differ = [name for name, value in row_settings(row, cfg).items() if one.get(name) != value]
                    differ += [f'{name} of its data' for name, value in data_settings(plan.data[data]).items()
                               if about.get(data, {}).get(name) != value]
                    if differ:
                        self.others.append(f'{path}: {data}/{row.name}{way and ", " + way} has another '
                                           f'{", ".join(differ)} than {plan.path}: left out')
                    else:
                        self._seeds[data, row.name, way] = {
                            str(seed): dict(earlier=source) | one['seeds'][str(seed)]
                            for seed in plan.seeds_of(row) if one['seeds'].get(str(seed), {}).get('scores')}

    def seeds(self, data: str, row: str, way: str) -> dict[str, dict]:
        """Returns what is known of the seeds of a row that predicts in a way, by seed."""
        return self._seeds.get((data, row, way), {})

    def has(self, run: Run, laboratory: Laboratory) -> bool:
        """Returns whether scores of a run are there for all ways in which it predicts."""
        return all(str(run.seed) in self.seeds(run.data, run.row, way)
                   for way in ways(laboratory, run.data, run.row))
