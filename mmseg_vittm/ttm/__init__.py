"""The Token Turing Machine, a memory of tokens across the frames of a video, in PyTorch alone.

Ryoo et al., "Token Turing Machines", CVPR 2023. ViTTM descends from it: there the memory lives across layers.
"""
from .flax_names import flax_views, load_flax
from .machine import MEMORY_MODES, Machine, SimpleTokenTuringMachine, TokenTuringMachine
from .process import PROCESS_UNITS

__all__ = ['MEMORY_MODES', 'PROCESS_UNITS', 'Machine', 'SimpleTokenTuringMachine', 'TokenTuringMachine', 'flax_views',
           'load_flax']
