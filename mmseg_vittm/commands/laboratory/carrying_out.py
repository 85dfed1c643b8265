"""A plan carried out, stage by stage: trained, scored, measured, reported."""
import fnmatch
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ...engine.work_dir.lock import hold
from ...errors import InputError, TrainingError
from ..progress import Reporter
from .earlier import Earlier
from .laboratory import Laboratory
from .plan import Plan, Run
from .report import claim_report, write_report
from .results import check_rows, gather
from .scoring import SCORED, score_run
from .speed import is_measured_here, kept_records, measure, threads
from .training import Training, to_train

STAGES = ('train', 'score', 'speed', 'report')


def carry_out(plan: Plan, out: str, work_dir: str, data_roots: dict[str, str], only: Sequence[str],
              stages: Sequence[str], jobs: int, remeasure: bool, overwrite: bool, train_tool: Path,
              console: Console, earlier: str | None = None) -> None:
    """Carries a plan out; what is there already is kept.

    Args:
        plan: The plan.
        out: Folder of the report.
        work_dir: Folder of the runs.
        data_roots: Folders of data, by the data set's name.
        only: Patterns of the runs to train and score; none is all.
        stages: Some of `STAGES`.
        jobs: How many trainings at a time.
        remeasure: Whether to measure speed again where it is there.
        overwrite: Whether to replace an earlier report.
        train_tool: The file of `tools/train.py`.
        console: Where to print.
        earlier: `results.json` of an earlier report, whose runs need no training unless others begin from them.

    Raises:
        InputError: Something of the plan is wrong, data are missing, or another laboratory works in the folder.
        TrainingError: Runs failed; the others are done.
        TrainingStopped: A signal stopped the trainings, which have saved themselves.
    """
    laboratory = Laboratory(plan, work_dir, data_roots)
    runs = chosen(plan, only)
    if 'report' in stages:
        folder = claim_report(plan, out, overwrite)
    check_rows(laboratory)
    before = Earlier(earlier, laboratory)
    for line in before.others:
        console.print(line, highlight=False)
    writes = set(stages) - {'report'}  # which only reads there
    with hold([work_dir] * bool(writes), main=True):
        to_train(laboratory, plan.runs())  # looks at the settings of all
        wanted = [run for run in runs if not before.has(run, laboratory)]
        left = to_train(laboratory, wanted) if 'train' in stages else []
        for run in left:
            laboratory.check_data(run, ('train_dataloader', *(SCORED if 'score' in stages else SCORED[:1])))
        failures = _train(laboratory, left, train_tool, jobs, console) if left else {}
        if 'score' in stages:
            _score(laboratory, [run for run in runs if laboratory.is_done(run)], console)
        for data in plan.data if 'speed' in stages else ():
            records = kept_records(laboratory, data)
            if remeasure or not records:
                measure(laboratory, data, console)
            elif not is_measured_here(records):
                console.print(f'{data}: the speed was measured on another machine, {records[0]["device_name"]}, torch '
                              f'{records[0]["torch"]}; --remeasure does it here', highlight=False)
        if 'report' in stages:
            files = write_report(plan, gather(laboratory, before), folder)
            console.print(f'{len(files)} files in {folder}', highlight=False)
    if failures:
        more = ', with overwrite=True,' * ('report' in stages and not overwrite)
        raise TrainingError(f'{len(failures)} of {len(left)} trainings failed: {", ".join(map(str, failures))}; the '
                            f'end of each log is above, and the same command{more} tries them again')


def chosen(plan: Plan, only: Sequence[str]) -> list[Run]:
    """Returns the runs of a plan that match one of some patterns; all where there are none.

    Raises:
        InputError: A pattern matches none.
    """
    runs = plan.runs()
    for pattern in only:
        if not any(_matches(run, pattern) for run in runs):
            raise InputError(f'only={pattern}: no run of {plan.path} is like that; there are '
                             f'{", ".join(plan.rows)} on {", ".join(plan.data)}')
    return [run for run in runs if not only or any(_matches(run, pattern) for pattern in only)]


def _matches(run: Run, pattern: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for name in (
        run.row, f'{run.data}/{run.row}', f'{run.row}/seed{run.seed}', str(run)))


def _train(laboratory: Laboratory, runs: list[Run], tool: Path, jobs: int, console: Console) -> dict[Run, str]:
    """Trains runs, and returns those that failed."""
    all_runs = laboratory.plan.runs()
    iterations = sum(laboratory.iterations(run) - laboratory.done_iterations(run) for run in runs)
    console.print(f'{len(runs)} of {len(all_runs)} runs to train, {iterations} iterations', highlight=False)
    training = Training(laboratory, runs, tool, jobs, console)
    training.run()
    return training.failures


def _score(laboratory: Laboratory, runs: list[Run], console: Console) -> None:
    with Reporter(console, 'runs') as report, threads(1):  # two that wait for each other spin, where cores are shared
        for number, run in enumerate(runs):
            score_run(laboratory, run)
            report(number + 1, len(runs), f'scored {run}')
