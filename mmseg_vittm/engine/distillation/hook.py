"""DistillationHook: a run's teacher has its classes, and its projector is in its checkpoints."""
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from ...errors import CheckpointError, InputError, shown
from ...weights.dataset_meta import num_classes
from ...weights.report import LoadReport
from ...weights.state_dicts import check_weights
from ...weights.strict import load_weights
from ...weights.whole_model import unwrapped
from .teacher import Teacher

PROJECTOR = 'distillation_projector'  # in a checkpoint
MOST = 12  # classes that are named


class DistillationHook(Hook):
    """Checks that teacher and student tell the same classes, and keeps the projector of features for resuming.

    `StrictRunner` adds it to runs with a teacher.

    Args:
        teacher: The teacher.
        projector: What brings the student's features to the teacher's channels, or None.
    """

    def __init__(self, teacher: Teacher, projector: nn.Module | None):
        self.teacher, self.projector = teacher, projector

    def before_run(self, runner: Runner) -> None:
        """Checks the classes.

        Raises:
            InputError: They differ; names them.
        """
        names = runner.train_dataloader.dataset.metainfo.get('classes')
        check_same_classes(self.teacher, num_classes(unwrapped(runner.model)), tuple(names or ()))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Takes the projector of a checkpoint that the run goes on from.

        Raises:
            CheckpointError: It is missing, or of other maps.
        """
        if self.projector is None or not runner._resume:
            return
        state, whose = checkpoint.get(PROJECTOR), 'the checkpoint to resume from'
        if not isinstance(state, dict):
            raise CheckpointError(f'{whose} has no projector of features: its run was not taught by them; leave out '
                                  'distillation.features, or begin a new run from its weights: load_from=PATH without '
                                  'resume=True')
        check_weights(state, whose)
        load_weights(self.projector, state, LoadReport(whose, 'the projector of features'))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the projector to a checkpoint that a run can be resumed from."""
        if self.projector is not None and 'optimizer' in checkpoint:
            checkpoint[PROJECTOR] = {name: tensor.detach().cpu() for name, tensor in
                                     self.projector.state_dict().items()}


def check_same_classes(teacher: Teacher, counts: set[int], names: tuple[str, ...]) -> None:
    """Checks that a teacher tells the classes of the student's data set, in their order.

    Args:
        teacher: The teacher.
        counts: How many classes the student may be said to have; nothing where that is unknown.
        names: Those of the student's data set; nothing where they are unknown.

    Raises:
        InputError: They differ; names them.
    """
    theirs, their_counts, whose = teacher.classes, num_classes(teacher.model), teacher.options.checkpoint
    if not (theirs and names and theirs != names) and (not counts or not their_counts or counts & their_counts):
        return
    said = [f'{len(found)} ({_listed(found, other)})' if found else str(max(count))
            for found, count, other in ((theirs, their_counts, names), (names, counts, theirs))]
    raise InputError(f'{whose}: the teacher has other classes than the student: {said[0]}, the student {said[1]}; take '
                     'a teacher that was trained for the same classes in the same order')


def _listed(names: tuple[str, ...], others: tuple[str, ...]) -> str:
    """Returns names of classes, those first that the other side does not have at the same place."""
    differ = [name for number, name in enumerate(names) if others[number:number + 1] != (name, )]
    first = names if len(names) <= MOST else differ
    return ', '.join(map(shown, first[:MOST])) + ', ...' * (len(names) > MOST)
