"""StreamSegmentor: a per-frame segmentor that remembers what it saw."""
import contextlib

import torch
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ..errors import InputError
from ..inference.slide_segmentor import SlideSegmentor, gives_logits
from ..inference.stream_state import CUTS, FRAMES, StreamState
from ..stack import MODELS, MMLogger
from .cuts import is_seen, other_scene, thumbnail
from .frame import Frame, encode
from .frame_checkpoint import load_frame_model

THUMBNAIL, LOGITS = 'thumbnail', 'smoothed_logits'
CUT_BELOW = 0.3


@MODELS.register_module()
class StreamSegmentor(SlideSegmentor):
    """A segmentor of videos: a per-frame model, and between its backbone and its head what remembers earlier frames.

    Where nothing is remembered, and as long as the temporal module is not trained, it gives the per-frame model's
    results bit for bit, so that every trained per-frame checkpoint is a start (`frame_checkpoint`).

    `step` takes the state of streams and returns the next one: nothing of a stream is kept in the model. A stream
    begins anew, as if it was its first frame, with a frame of another size, and with one that shows another scene (a
    cut: the correlation of thumbnails falls below `test_cfg.cut_below`). `predict` carries states along by itself for
    samples of `VideoSegDataset`, by their metainfo `video` and `frame_index`; any other image is a stream of one frame.

    Three entries of `test_cfg`, whose `mode` has to be `'whole'`:

    - `smoothing`: weight of the past in exponentially smoothed logits, from 0, the default, to below 1.
    - `cut_below`: correlation, -1 to 1, below which a frame begins a scene; 0.3 by default, None sees no cuts. A frame
      that is blank, or noise alone, begins none.
    - `with_logits` and `with_confidence`, as `SlideSegmentor` has them.

    Args:
        backbone: As EncoderDecoder's, like all that is not told here.
        decode_head: Likewise; one that predicts by its forward pass and a resize.
        temporal: `dict(type='MachineMemory')` or `dict(type='PastAttention')` with their arguments; None for none.
        frozen: Whether backbone, neck and heads stay as they are in training, which then costs a fraction.
        backprop_frames: Frames of a clip after which gradients do not flow further back (truncated backpropagation
            through time); None: never.
        frame_checkpoint: A checkpoint of the per-frame model, whose weights training begins with.

    Raises:
        InputError: An argument is wrong, or contradicts another.
    """

    compilable = False  # its network is not one graph: it looks at what is remembered

    def __init__(self, backbone: dict, decode_head: dict, temporal: dict | None = None, frozen: bool = False,
                 backprop_frames: int | None = None, frame_checkpoint: str | None = None, neck: dict | None = None,
                 auxiliary_head: dict | None = None, train_cfg: dict | None = None, test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None, pretrained: str | None = None,
                 init_cfg: dict | None = None):
        super().__init__(backbone=backbone, decode_head=decode_head, neck=neck, auxiliary_head=auxiliary_head,
                         train_cfg=train_cfg, test_cfg=test_cfg, data_preprocessor=data_preprocessor,
                         pretrained=pretrained, init_cfg=init_cfg)
        if not gives_logits(self.decode_head):
            raise InputError(f'StreamSegmentor needs a decode head whose forward pass gives logits, got '
                             f'{type(self.decode_head).__name__}; take FCNHead, SegmenterMaskTransformerHead or the '
                             'like')
        if backprop_frames is not None and backprop_frames < 1:
            raise InputError(f'backprop_frames must be 1 or more, or None, got {backprop_frames!r}')
        if frozen and temporal is None:
            raise InputError('frozen=True with temporal=None leaves nothing to train; give a temporal module, or '
                             'frozen=False')
        self.temporal = None if temporal is None else MODELS.build(temporal)
        self.frozen, self.backprop_frames, self.frame_checkpoint = frozen, backprop_frames, frame_checkpoint
        self._videos: dict[str, tuple[int, StreamState]] = {}  # of `predict`: the next frame's index, and the state
        self._freeze()

    def frame_parts(self) -> dict[str, nn.Module]:
        """Returns what the per-frame model has too, by name: backbone, neck and heads."""
        parts = {name: getattr(self, name, None) for name in ('backbone', 'neck', 'decode_head', 'auxiliary_head')}
        return {name: part for name, part in parts.items() if part is not None}

    def init_weights(self) -> None:
        """Initialises the weights; `frame_checkpoint` has the last word.

        Raises:
            CheckpointError: It cannot be read, or does not fit the per-frame model exactly.
        """
        super().init_weights()
        if self.frame_checkpoint is not None:
            load_frame_model(self.frame_parts(), self.frame_checkpoint)

    def train(self, mode: bool = True) -> 'StreamSegmentor':
        """Sets the mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        for part in self.frame_parts().values() if self.frozen else ():
            part.requires_grad_(False)
            part.eval()

    def encode(self, images: Tensor) -> Frame:
        """Returns the frame that backbone and neck make of images (B, 3, H, W)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return encode(self.backbone, self.neck if self.with_neck else None, images)

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Returns the heads' losses over the labelled frames of clips.

        Args:
            inputs: (B * K, 3, H, W), clip by clip, as `clip_collate` has them; without clips K is 1.
            data_samples: One per frame, with `clip_length` and `is_labelled` in the metainfo; all have labels without.
        """
        length = data_samples[0].metainfo.get('clip_length', 1)
        frames = self.encode(inputs)
        maps = frames.maps(None if self.temporal is None else self._remember(frames, length))
        labelled = [row for row, sample in enumerate(data_samples) if sample.metainfo.get('is_labelled', True)]
        if not labelled:  # of this batch no frame is; a loss of 0 that all parameters have a part in
            return {'decode.loss_ce': maps[-1].sum() * 0}
        samples = [data_samples[row] for row in labelled]
        losses = self._decode_head_forward_train(tuple(one[labelled] for one in maps), samples)
        if self.with_auxiliary_head and not self.frozen:
            losses |= self._auxiliary_head_forward_train(tuple(one[labelled] for one in frames.maps()), samples)
        return losses

    def _remember(self, frames: Frame, length: int) -> list[Tensor]:
        """Returns the tokens (B * K, N, C) with the past of each clip of K = `length` frames in them."""
        found, state = [], None
        for number in range(length):
            frame = frames.at(slice(number, None, length))  # of all clips
            if state is None:
                state = self.temporal.begin(frame)
            elif self.backprop_frames is not None and number % self.backprop_frames == 0:
                state = {name: one.detach() for name, one in state.items()}
            tokens, state = self.temporal(frame, state)
            found.append(tokens)
        return [torch.stack(of_stream, dim=1).flatten(0, 1) for of_stream in zip(*found, strict=True)]

    def predict(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Segments images or, one after the other, frames of videos; see `SlideSegmentor.predict`.

        Raises:
            InputError: The frames of a video do not come in their order.
        """
        if data_samples is None or 'video' not in data_samples[0].metainfo:
            return self.segment(inputs, data_samples or [SegDataSample() for _ in inputs], None)[0]
        for row, sample in enumerate(data_samples):
            video, index = sample.metainfo['video'], sample.metainfo['frame_index']
            due, state = self._videos.get(video, (0, None)) if index else (0, None)
            if index != due:
                raise InputError(f"{video}: frame {index} of the video comes where frame {due} should; test with "
                                 "sampler=dict(type='VideoSampler')")
            _, state = self.segment(inputs[row:row + 1], [sample], state)
            self._videos = {video: (index + 1, state)}
        return data_samples

    def segment(self, inputs: Tensor, data_samples: list[SegDataSample],
                state: StreamState | None) -> tuple[list[SegDataSample], StreamState]:
        """Segments the next frame of each of B streams.

        Args:
            inputs: (B, 3, H, W), normalised.
            data_samples: One per stream, as `predict` has them.
            state: After the frame before; None where all streams begin.

        Returns:
            The data samples with `pred_sem_seg`, see `SlideSegmentor.predict`, and the state after the frame.
        """
        if self.test_cfg.get('mode', 'whole') != 'whole':
            raise InputError(f"test_cfg.mode is {self.test_cfg['mode']!r}: a stream's frames are segmented whole; set "
                             "model.test_cfg.mode='whole'")
        if not 0 <= self.test_cfg.get('smoothing', 0) < 1:
            raise InputError(f"test_cfg.smoothing must be from 0 to below 1, got {self.test_cfg['smoothing']!r}")
        state = None if state is None else state.to(inputs.device)  # one that was saved is on the CPU
        size, crop, starts = self._windows(tuple(inputs.shape[2:]), data_samples[0].metainfo)
        logits, state = self.step(inputs, state)
        for sample, low in zip(data_samples, logits, strict=True):
            rows, cols = self._matrices(low, size, crop, starts, sample.metainfo)
            self._finish(sample, low, rows, cols)
        return data_samples, state

    def network(self, windows: Tensor) -> Tensor:
        """Returns the logits (B, classes, h, w) of the first frames of B streams, (B, 3, H, W)."""
        return self._step(windows, None)[0]

    def step(self, images: Tensor, state: StreamState | None = None) -> tuple[Tensor, StreamState]:
        """Runs the network on the next frame of each of B streams.

        Args:
            images: (B, 3, H, W), normalised.
            state: After the frame before; None where all streams begin.

        Returns:
            Logits (B, classes, h, w) at the head's resolution, and the state after the frame.

        Raises:
            InputError: The network gives NaN or infinite values for a frame.
        """
        computing = getattr(self.network, 'computing', contextlib.nullcontext)  # of an optimized model
        with computing(images.device):
            return self._step(images, state)

    def _step(self, images: Tensor, state: StreamState | None) -> tuple[Tensor, StreamState]:
        now = thumbnail(images)
        if state is not None and state.size != tuple(images.shape[2:]):
            state = None
        begins = torch.ones(len(images), dtype=torch.bool, device=images.device)
        cuts = torch.zeros_like(begins)
        if state is not None:
            begins, before = state.tensors[FRAMES] == 0, state.tensors[THUMBNAIL]
            cuts = ~begins & other_scene(now, before, self.test_cfg.get('cut_below', CUT_BELOW))
            now = _where(is_seen(now), now, before)
        frame = self.encode(images)
        logits, kept = self._recall(frame, state, begins | cuts)
        broken = _broken(kept, begins)
        if broken.any():
            streams = f'streams {broken.nonzero().flatten().tolist()}'
            MMLogger.get_current_instance().warning(f'{streams}: what is remembered has values that are not finite '
                                                    '(NaN or infinite); it begins anew with this frame')
            begins = begins | broken
            logits, kept = self._recall(frame, state, begins | cuts)
            if _broken(kept, begins).any():
                raise InputError(f'{streams}: the network makes values that are not finite (NaN or infinite) of this '
                                 'frame alone; see to its weights, or take dtype fp32')
        return logits, self._after(images, state, begins, cuts, kept | {THUMBNAIL: now})

    def _recall(self, frame: Frame, state: StreamState | None,
                anew: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the logits of a frame of B streams, of which those of `anew` (B, ) begin, and what is kept of it."""
        tokens, kept = None, {}
        if self.temporal is not None:
            before = self.temporal.begin(frame)
            if state is not None:
                before = {name: _where(anew, one, state.tensors[name]) for name, one in before.items()}
            tokens, kept = self.temporal(frame, before)
        logits = self.decode_head.forward(frame.maps(tokens))
        weight = self.test_cfg.get('smoothing', 0)
        if weight:
            if state is not None:
                logits = _where(anew, logits, weight * state.tensors[LOGITS] + (1 - weight) * logits)
            kept = kept | {LOGITS: logits}
        return logits, kept

    def _after(self, images: Tensor, state: StreamState | None, begins: Tensor, cuts: Tensor,
               kept: dict[str, Tensor]) -> StreamState:
        """Returns the state after a frame."""
        none = torch.zeros(len(images), dtype=torch.long, device=images.device)
        frames, cut = (none if state is None else state.tensors[name] for name in (FRAMES, CUTS))
        counts = {FRAMES: torch.where(begins | cuts, none, frames) + 1, CUTS: torch.where(begins, none, cut) + cuts}
        return StreamState(kept | counts, tuple(images.shape[2:]))

    def check_state(self, state: StreamState) -> None:
        """Checks that a state is of a model like this one.

        Raises:
            InputError: It is of another.
        """
        names = {FRAMES, CUTS, THUMBNAIL} | ({LOGITS} if self.test_cfg.get('smoothing', 0) else set())
        shapes = {} if self.temporal is None else self.temporal.state_shapes()
        found = {name: tuple(state.tensors[name].shape[1:]) for name in shapes if name in state.tensors}
        if set(state.tensors) != names | set(shapes) or any(
                len(found[name]) != len(shape) or any(side not in (None, there) for side, there in
                                                      zip(shape, found[name], strict=True))
                for name, shape in shapes.items()):
            told = {name: tuple(one.shape[1:]) for name, one in state.tensors.items()}
            raise InputError(f'the state is of another model: it has {told}, where this one keeps '
                             f'{sorted(names | set(shapes))} with {shapes}; begin the stream anew')


def _broken(kept: dict[str, Tensor], streams: Tensor) -> Tensor:
    """Returns which streams have values that are not finite in what is kept of them, (B, ) bool."""
    broken = torch.zeros_like(streams)
    for one in kept.values():  # a sum is finite where all values are, and takes one look at them
        broken = broken | ~one.flatten(1).sum(dim=1, dtype=torch.float32).isfinite()
    return broken


def _where(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Returns, per stream, one of two tensors (B, ...)."""
    return torch.where(mask.view(-1, *[1] * (yes.dim() - 1)), yes, no)
