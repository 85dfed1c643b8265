"""A training run's teacher, by its config's section `distillation`."""
from mmengine.device import get_device
from mmengine.runner import Runner
from torch import nn

from .hook import DistillationHook
from .options import SECTION, DistillationOptions
from .student import NAME, Distilled, give_teacher


def awaits_teacher(runner: Runner, model: nn.Module) -> bool:
    """Whether a run's config names a teacher, which its model does not have yet."""
    return bool(runner.cfg.get(SECTION)) and not isinstance(model, Distilled)


def find_teacher(runner: Runner) -> bool:
    """Gives a run's model its teacher where it awaits one, notes in its config which one that is, and wraps the model.

    Returns:
        Whether it awaited one.

    Raises:
        CheckpointError: See `Teacher`.
        InputError: See `give_teacher`, or the section is wrong.
    """
    if not awaits_teacher(runner, runner.model):
        return False
    options = DistillationOptions.of(runner.cfg[SECTION])
    teacher = give_teacher(runner.model, options, get_device())
    runner.cfg[SECTION].teacher.sha256 = teacher.sha256
    runner.register_hook(DistillationHook(teacher, getattr(runner.model, NAME).projector))
    count = sum(weight.numel() for weight in teacher.model.parameters())
    runner.logger.info(f'Teacher: {options.teacher.config} with {options.teacher.checkpoint}, {count / 1e6:.2f} M '
                       f'parameters, {options.teacher.dtype}')
    runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), runner.model)
    return True
