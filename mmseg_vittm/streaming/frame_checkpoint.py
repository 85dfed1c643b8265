"""The weights of a per-frame model, for a segmentor of videos to begin with."""
from torch import nn

from ..stack import MMLogger
from ..weights.report import LoadReport
from ..weights.strict import load_weights
from ..weights.whole_model import read_checkpoint


def load_frame_model(parts: dict[str, nn.Module], path: str) -> None:
    """Copies the weights of a per-frame segmentor into its parts, all of them and nothing left over.

    Args:
        parts: Backbone, head and what else there is, by the names that the checkpoint has them under.
        path: A checkpoint of `tools/train.py`, or its `.safetensors`.

    Raises:
        CheckpointError: It cannot be read, or weights are missing, unexpected or of another shape.
    """
    report = LoadReport(path, 'a per-frame model')
    load_weights(nn.ModuleDict(parts), read_checkpoint(path)['state_dict'], report)
    MMLogger.get_current_instance().info(f'StreamSegmentor: loaded {report}')
