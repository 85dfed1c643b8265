"""A row of the paper's tables as a model to build, with the figures that the paper prints for it."""
from collections.abc import Callable
from dataclasses import dataclass, field

import timm
from torch import nn

from ...vittm import ViTTMEncoder
from ...vittm.archs import ARCHS
from ...vittm.classifier import ViTTMClassifier

IMAGE_SIZE = 224
# Side of the patches that give so many tokens at 224 pixels.
PATCH_SIZES = {16: 56, 49: 32, 64: 28, 196: 16, 256: 14}


@dataclass(frozen=True)
class Row:
    """A row of one of the paper's tables.

    Attributes:
        table: Its number.
        name: The row, in the table's words.
        gflops: The paper's, for comparison.
        latency_ms: The paper's; None where the table has none.
        top1: The paper's accuracy on ImageNet, percent.
        params_m: The paper's parameters in millions; None where the table has none.
        arguments: `ViTTMEncoder`'s; empty for other models.
        vit: Name of a model of timm.
        make: Builds the model, where it is neither.
        image_size: Side of the input in pixels.
        attention: Whether the paper's GFLOPs have the products inside self-attention, which fvcore misses where it is
            fused.
        note: What the figures count, where that is not plain.
    """
    table: int
    name: str
    gflops: float
    latency_ms: float | None
    top1: float
    params_m: float | None = None
    arguments: dict = field(default_factory=dict)
    vit: str = ''
    make: Callable[[], nn.Module] | None = None
    image_size: int = IMAGE_SIZE
    attention: bool = False
    note: str = ''

    def build(self) -> nn.Module:
        """Returns the classifier, with random weights."""
        if self.make:
            return self.make().eval()
        if self.vit:
            return timm.create_model(self.vit).eval()
        return ViTTMClassifier(ViTTMEncoder(img_size=IMAGE_SIZE, **self.arguments)).eval()

    def dead_parameters(self) -> int:
        """Returns how many weights the authors' model has on top that no output depends on.

        The plain ViT that it is derived from leaves a class token and position embeddings of 197 tokens, and its
        patch embedding where the memory's is another; linear heads have output projections that are never applied.
        """
        if not self.arguments:
            return 0
        arch = ARCHS[self.arguments['arch']]
        dims, layers = arch['embed_dims'], arch['num_layers']
        embedding = dims * (1 + 197)
        if self.arguments['memory_patch_size'] != 16:
            embedding += dims * (3 * 16 * 16 + 1)
        linear = self.arguments.get('read_write_head', 'linear') == 'linear'
        return embedding + linear * 2 * layers * dims * (dims + 1)


def tokens(process: int, memory: int) -> dict:
    """Returns the patch sizes of so many tokens at 224 pixels."""
    return dict(process_patch_size=PATCH_SIZES[process], memory_patch_size=PATCH_SIZES[memory])
