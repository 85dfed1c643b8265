"""Video segmentation: a per-frame segmentor with a memory across frames."""
from .machine_memory import MachineMemory
from .past_attention import PastAttention
from .segmentor import StreamSegmentor

__all__ = ['MachineMemory', 'PastAttention', 'StreamSegmentor']
