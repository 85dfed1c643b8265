"""The families of weight files: how each is recognised, and what its names are in ours."""
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..errors import CheckpointError, shown
from ..vittm import names
from ..vittm.names import Rule, rename
from .report import LoadReport


@dataclass(frozen=True)
class WeightFamily:
    """Weight files that name their weights alike.

    Attributes:
        title: The family in words.
        mark: A pattern for a whole name: a file with such a name is one of the family.
        rules: Its names in ours, the first that fits.
        square_positions: Whether its flat position embeddings (1, N, C) are of square grids, whatever the model's is.
    """
    title: str
    mark: str
    rules: tuple[Rule, ...]
    square_positions: bool = False

    def owns(self, state: dict[str, Tensor]) -> bool:
        """Tells whether a file's weights are of this family."""
        return any(re.fullmatch(self.mark, name) for name in state)

    @property
    def described(self) -> str:
        """The title, and the name that a file of no family lacks, where the mark is one name and no pattern."""
        return f'{self.title} (no {self.mark!r})' if re.escape(self.mark) == self.mark else self.title

    def rename(self, state: dict[str, Tensor], report: LoadReport) -> dict[str, Tensor]:
        """Returns weights under our names; names of no rule are kept, so that loading refuses them by name."""
        return rename(state, self.rules, report.drop)


AUTHORS = WeightFamily("the authors' ViTTM checkpoint", names.AUTHORS_MARK, (
    *names.AUTHORS_ENCODER, *names.AUTHORS_CLASSIFIER_DROPPED))
# The same where a `ViTTMClassifier` is loaded instead of a backbone.
AUTHORS_CLASSIFIER = WeightFamily("the authors' checkpoint", names.AUTHORS_MARK, (
    *names.AUTHORS_ENCODER, *names.AUTHORS_CLASSIFIER))
TIMM_VIT = WeightFamily("timm's ViT checkpoint", 'pos_embed', (
    Rule(r'(cls_token|reg_token|pos_embed|(?:patch_embed|norm_pre|blocks|norm)\..*)', r'vit.\1'),
    Rule(r'(?:head|head_dist|fc_norm|pre_logits)\..*', None, 'classification only')), square_positions=True)
WHOLE_MODEL = WeightFamily('MMSegmentation checkpoint', r'backbone\..*', (
    Rule(r'backbone\.(.*)', r'\1'),
    *(Rule(rf'{part}\..*', None, part) for part in ('decode_head', 'auxiliary_head', 'data_preprocessor'))))
# A checkpoint of a classifier's training (`ImageClassifier`), where it is loaded into one again, and into backbones.
_NO_NETWORK = Rule(r'(?:data_preprocessor|criterion)\..*', None, 'no weights of the network')
OUR_CLASSIFIER = WeightFamily("a classifier's checkpoint", r'network\..*', (
    Rule(r'network\.(.*)', r'\1'), _NO_NETWORK))
VITTM_CLASSIFIER = WeightFamily("a classifier's checkpoint", r'network\.encoder\..*', (
    Rule(r'network\.(encoder\..*)', r'\1'),
    Rule(r'network\.(?:process|memory)_(?:norm|fc_norm|head)\..*', None, 'classification only'), _NO_NETWORK))
VIT_CLASSIFIER = WeightFamily("a classifier's checkpoint", r'network\.patch_embed\..*', (
    Rule(r'network\.(cls_token|reg_token|pos_embed|(?:patch_embed|norm_pre|blocks|norm)\..*)', r'vit.\1'),
    Rule(r'network\.(?:head|head_dist|fc_norm|pre_logits)\..*', None, 'classification only'), _NO_NETWORK))
# The state dict of timm's ViTTM, for its backbone.
TIMM_VITTM = WeightFamily("timm's ViTTM state dict", r'memory_fc_norm\..*', (
    Rule(r'(encoder\..*)', r'\1'), Rule(r'(?:process|memory)_(?:norm|fc_norm|head)\..*', None, 'classification only')))
OUR_LOOKUPVIT = WeightFamily('our backbone weights', r'encoder\.blocks\.\d+\.gather_norm\..*', ())
OUR_VITTM = WeightFamily('our backbone weights', r'encoder\..*', ())
OUR_VIT = WeightFamily('our backbone weights', r'vit\..*', ())
OUR_REVVIT = WeightFamily('our backbone weights', r'patch_stream\..*', ())


def recognise(state: dict[str, Tensor], families: Sequence[WeightFamily], path: str | Path) -> WeightFamily:
    """Returns the first family that a file's weights are of.

    Raises:
        CheckpointError: They are of none; names the families, and the first weights.
    """
    for family in families:
        if family.owns(state):
            return family
    titles = ', nor '.join(dict.fromkeys(family.described for family in families))
    raise CheckpointError(f'{path}: by the names of its weights, neither {titles}; it begins with '
                          f'{", ".join(map(shown, list(state)[:4]))}')
