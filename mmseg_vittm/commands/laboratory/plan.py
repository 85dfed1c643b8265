"""The plan of a laboratory: which models on which data sets, with which seeds."""
import re
from dataclasses import dataclass, field
from typing import Any

WINDOWS = 'windows'
SEED = re.compile(r'seed(\d+)')


@dataclass(frozen=True)
class DataSet:
    """A data set of a plan.

    Attributes:
        name: Its name, also of a folder.
        image_size: Height and width of the images that speed is measured on, before the test pipeline.
        config: The config that has it; None where it is the one that the rows' own configs have.
        title: What reports call it.
        cfg_options: Settings of every run on it.
    """
    name: str
    image_size: tuple[int, int]
    config: str | None = None
    title: str = ''
    cfg_options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A row of a plan's table.

    Attributes:
        name: Its name, also of a folder.
        config: The model and its training.
        title: What reports call it.
        group: The rows that it is shown with.
        data: Names of the data sets that it is trained on.
        seeds: A run each.
        cfg_options: Settings of its own.
        warm_start: A run of the plan, or a file, whose weights it begins from.
        teacher: What teaches it: a run of the plan, or a config and its checkpoint.
        scores: `'windows'`: scored by sliding windows too.
        beside: Other groups in whose plots of speed it is shown too.
    """
    name: str
    config: str
    title: str = ''
    group: str = 'architecture'
    data: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    cfg_options: dict[str, Any] = field(default_factory=dict)
    warm_start: str | None = None
    teacher: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Speed:
    """How speed is measured.

    Attributes:
        images: How many images are timed.
        warmup: How many before that.
        dtypes: Number formats; bf16 is left out on a CPU that is slow at it. The first is that of the tables.
        threads: Numbers of threads on a CPU. The first is that of the tables.
    """
    images: int = 100
    warmup: int = 5
    dtypes: tuple[str, ...] = ('fp32', 'bf16')
    threads: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, order=True)
class Run:
    """One training: a row on a data set with a seed."""
    data: str
    row: str
    seed: int

    def __str__(self) -> str:
        return f'{self.data}/{self.row}/seed{self.seed}'


@dataclass(frozen=True)
class Plan:
    """What a laboratory does.

    Attributes:
        path: The file that says it.
        data: The data sets, by name.
        rows: The rows, by name.
        seeds: Of rows that have none of their own.
        amp: Whether all train in mixed precision.
        speed: How speed is measured.
        per_class: Rows whose classes are drawn one by one.
        content: What the file said when it was read.
    """
    path: str
    data: dict[str, DataSet]
    rows: dict[str, Row]
    seeds: tuple[int, ...] = (0, 1)
    amp: bool = False
    speed: Speed = Speed()
    per_class: tuple[str, ...] = ()
    content: dict[str, Any] = field(default_factory=dict)

    def data_of(self, row: Row) -> tuple[str, ...]:
        """Returns the names of a row's data sets."""
        return row.data or tuple(self.data)

    def seeds_of(self, row: Row) -> tuple[int, ...]:
        """Returns a row's seeds."""
        return row.seeds or self.seeds

    def runs(self) -> list[Run]:
        """Returns all runs: the first seed of every row before the second of any."""
        most = max(len(self.seeds_of(row)) for row in self.rows.values())
        return [Run(data, row.name, self.seeds_of(row)[turn]) for turn in range(most) for data in self.data
                for row in self.rows.values() if data in self.data_of(row) and turn < len(self.seeds_of(row))]

    def named(self, name: str, by: Run) -> Run | None:
        """Returns the run that another one names as `[DATA/]ROW[/seedN]`, None where the plan has no such row.

        Left out are the data set and the seed of the run that names it; a seed that the row has not is its first.
        """
        parts = name.split('/')
        data = parts.pop(0) if len(parts) > 1 and parts[0] in self.data else by.data
        row = self.rows.get(parts[0])
        seed = SEED.fullmatch(parts[1]) if len(parts) == 2 else None
        if row is None or len(parts) > 2 or (len(parts) == 2 and seed is None) or data not in self.data_of(row):
            return None
        seeds = self.seeds_of(row)
        if seed is not None:
            return Run(data, row.name, int(seed[1])) if int(seed[1]) in seeds else None
        return Run(data, row.name, by.seed if by.seed in seeds else seeds[0])

    def needs(self, run: Run) -> list[Run]:
        """Returns the runs that must be done before a run begins."""
        row = self.rows[run.row]
        names = [row.warm_start] * bool(row.warm_start) + list(row.teacher[-1:])
        return [found for name in names if (found := self.named(name, run)) is not None]
