"""Add-erase: the write that keeps the memory's tokens, erases of them and adds to them, as a Neural Turing Machine."""
import torch
from torch import Tensor, nn

from .layers import Mlp, Norm, new_position

SLOTS = 8
HIDDEN_DIMS = 64


class SlotVectors(nn.Module):
    """One vector per write slot, made of the outputs: an MLP over their tokens, then an MLP over channels.

    Args:
        embed_dims: Width C.
        num_tokens: Output tokens r.
    """

    def __init__(self, embed_dims: int, num_tokens: int):
        super().__init__()
        self.norm = Norm(embed_dims)
        self.token_mlp = Mlp(num_tokens, HIDDEN_DIMS, SLOTS)
        self.channel_mlp = Mlp(embed_dims, HIDDEN_DIMS, embed_dims)

    def forward(self, outputs: Tensor) -> Tensor:
        """Returns vectors (B, 8, C) of `outputs` (B, r, C)."""
        return self.channel_mlp(self.token_mlp(self.norm(outputs).transpose(1, 2)).transpose(1, 2))


class ReleasedAddErase(nn.Module):
    """Add-erase as in the released unit: M' = M prod_s(1 - w_s e_s) + mean_s(1 - w_s a_s), over 8 slots s.

    The selection w (8 x m) is a softmax over the memory's tokens, scored by an MLP; e and a (8 x C) are what to erase
    and to add, of the outputs. Nothing bounds e and a. Memory tokens that are equal, as the zeros at the start, stay
    equal: they are selected and changed alike.

    Args:
        embed_dims: Width C.
        num_memory_tokens: Memory tokens m.
        num_process_tokens: Output tokens r.
    """

    def __init__(self, embed_dims: int, num_memory_tokens: int, num_process_tokens: int):
        super().__init__()
        self.norm = Norm(embed_dims)
        self.selection = Mlp(embed_dims, HIDDEN_DIMS, SLOTS)
        self.erase = SlotVectors(embed_dims, num_process_tokens)
        self.add = SlotVectors(embed_dims, num_process_tokens)

    def forward(self, memory: Tensor, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Returns the next memory (B, m, C) of `memory` and `outputs` (B, r, C); `inputs` are not looked at."""
        weights = self.select(memory)
        return memory * kept(weights, self.erase(outputs)) + (1 - mean_added(weights, self.add(outputs)))

    def select(self, memory: Tensor) -> Tensor:
        """Returns the selection w (B, 8, m) of `memory` (B, m, C); each slot's weights sum to 1."""
        return self.selection(self.norm(memory)).transpose(1, 2).softmax(dim=2)


class AddErase(ReleasedAddErase):
    """Add-erase in the bounded form, for new models: M' = M prod_s(1 - w_s e_s) + mean_s(w_s a_s), over 8 slots s.

    As the released form, but e and a are sigmoids, so that a write only ever shrinks what is there and adds between 0
    and 1, and what is added is w a, as in a Neural Turing Machine. A learned embedding tells the memory's tokens apart
    where they are selected, without which those of an empty memory would stay equal for ever.

    Args:
        embed_dims: Width C.
        num_memory_tokens: Memory tokens m.
        num_process_tokens: Output tokens r.
    """

    def __init__(self, embed_dims: int, num_memory_tokens: int, num_process_tokens: int):
        super().__init__(embed_dims, num_memory_tokens, num_process_tokens)
        self.position = new_position(num_memory_tokens, embed_dims)

    def forward(self, memory: Tensor, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Returns the next memory (B, m, C) of `memory` and `outputs` (B, r, C); `inputs` are not looked at."""
        weights = self.select(memory + self.position)
        erase, add = self.erase(outputs).sigmoid(), self.add(outputs).sigmoid()
        return memory * kept(weights, erase) + mean_added(weights, add)


def kept(weights: Tensor, erase: Tensor) -> Tensor:
    """Returns prod_s(1 - w_s e_s), (B, m, C), of selections (B, 8, m) and vectors (B, 8, C).

    A loop over the slots: `Tensor.prod` is slow, and its gradient looks for zeros on the GPU and waits for them.
    """
    share = 1 - weights[:, 0, :, None] * erase[:, 0, None]
    for slot in range(1, SLOTS):
        share = share * (1 - weights[:, slot, :, None] * erase[:, slot, None])
    return share


def mean_added(weights: Tensor, add: Tensor) -> Tensor:
    """Returns mean_s(w_s a_s), (B, m, C), of selections (B, 8, m) and vectors (B, 8, C), as one matrix product."""
    return torch.bmm(weights.transpose(1, 2), add) / SLOTS
