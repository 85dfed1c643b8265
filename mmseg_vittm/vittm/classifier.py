"""ViTTMClassifier: image classification with the encoder, as the paper pre-trains it."""
from torch import Tensor, nn

from .block import StreamNorm
from .encoder import ViTTMEncoder


class ViTTMClassifier(nn.Module):
    """A linear classifier per stream on the mean of its tokens.

    The memory tokens have no norm before the mean, the process tokens have one (`process_norm`): so the
    authors' implementation, which timm's average pooling leaves without a final norm on its own stream.

    Args:
        encoder: The encoder, built with `write_last=True`.
        num_classes: Number K of classes.

    Raises:
        ValueError: The encoder gives no memory tokens.
    """

    def __init__(self, encoder: ViTTMEncoder, num_classes: int = 1000):
        super().__init__()
        if encoder.blocks[-1].write_head is None:
            raise ValueError('ViTTMClassifier classifies both streams: build the encoder with write_last=True')
        dims = encoder.embed_dims
        self.encoder = encoder
        self.process_norm = StreamNorm(dims)
        self.process_fc_norm = StreamNorm(dims)
        self.process_head = nn.Linear(dims, num_classes)
        self.memory_fc_norm = StreamNorm(dims)
        self.memory_head = nn.Linear(dims, num_classes)

    def forward_tokens(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns process (B, Np, C) and memory (B, Nm, C) tokens after the final norms of images (B, 3, H, W)."""
        process, memory = self.encoder(images)
        return self.process_norm(process), memory

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the process and the memory head's logits, each (B, K), of images (B, 3, H, W).

        The paper trains on the sum of both losses and reports the memory head.
        """
        process, memory = self.forward_tokens(images)
        return (self.process_head(self.process_fc_norm(process.mean(dim=1))),
                self.memory_head(self.memory_fc_norm(memory.mean(dim=1))))
