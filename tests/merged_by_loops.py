"""ToMe's matching as loops, to compare merging with."""
import torch


def likest(keys: torch.Tensor, count: int) -> list[tuple[int, int]]:
    """The pairs of patches, with keys (M, c), that ToMe merges."""
    directions = keys / keys.norm(dim=1, keepdim=True)
    if len(keys) < 2:
        return []
    best = [max((float(directions[own] @ directions[other]), own, other) for other in range(1, len(keys), 2))
            for own in range(0, len(keys), 2)]
    return [pair[1:] for pair in sorted(best, reverse=True)[:count]]
