"""The authors' names of weights in ours, as tables of rules."""
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from torch import Tensor


class Rule(NamedTuple):
    """What becomes of some of a family's names.

    Attributes:
        theirs: A pattern for the whole name.
        ours: The name here, with the pattern's groups; None drops the weight.
        why: The reason for that.
        unless: A name, with the pattern's groups: where the file has it, the rule does not hold.
    """
    theirs: str
    ours: str | None
    why: str = ''
    unless: str = ''


def rename(state: Mapping[str, Tensor], rules: Iterable[Rule],
           drop: Callable[[str, Tensor], None]) -> dict[str, Tensor]:
    """Returns weights under our names; names of no rule are kept, so that strict loading refuses them by name.

    Args:
        state: Weights by name.
        rules: Their names in ours, the first that fits.
        drop: Called with the reason and the weight where one is dropped.
    """
    renamed = {}
    for name, tensor in state.items():
        for rule in rules:
            match = re.fullmatch(rule.theirs, name)
            if match and not (rule.unless and match.expand(rule.unless) in state):
                if rule.ours is None:
                    drop(rule.why, tensor)
                else:
                    renamed[match.expand(rule.ours)] = tensor
                break
        else:
            renamed[name] = tensor
    return renamed


AUTHORS_MARK = 'process_pos_embed'  # what only the authors' files have
AUTHORS_ENCODER = (
    Rule(r'cls_token|pos_embed|patch_embed\..*', None, 'unused timm ViT embedding'),
    Rule(r'(read|write)_head\.(\d+)\.proj\.(?:weight|bias)', None, 'unused projections of the linear heads',
         unless=r'\1_head.\2.q_norm.weight'),
    Rule(r'(process|memory)_embedder\.(proj\..*)', r'encoder.\1_stream.\2'),
    Rule(r'(process|memory)_pos_embed', r'encoder.\1_stream.pos_embed.weight'),
    Rule(r'blocks\.(\d+)\.(.*)', r'encoder.blocks.\1.encoder.\2'),
    Rule(r'(read|write)_(norm|head)\.(\d+)\.(.*)', r'encoder.blocks.\3.\1_\2.\4'),
    Rule(r'mem_blocks\.(\d+)\.(.*)', r'encoder.blocks.\1.memory_mlp.\2'),
    Rule(r'(read|write)_fusion\.linear\.(.*)', r'encoder.\1_fusion.gate.\2'))
# After those of the encoder: where a backbone is loaded, and where a `ViTTMClassifier` is.
AUTHORS_CLASSIFIER_DROPPED = (
    Rule(r'process_norm\.(.*)|(?:process_)?head\..*|norm\..*|fc_norm(?:_process)?\..*', None, 'classification only'), )
AUTHORS_CLASSIFIER = (
    Rule(r'(process_norm\..*)', r'\1'),
    Rule(r'fc_norm_process\.(.*)', r'process_fc_norm.\1'),
    Rule(r'fc_norm\.(.*)', r'memory_fc_norm.\1'),
    Rule(r'(process_head\..*)', r'\1'),
    Rule(r'head\.(.*)', r'memory_head.\1'))
