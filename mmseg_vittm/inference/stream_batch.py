"""StreamBatch: several streams of frames, such as cameras, segmented together, each with a state of its own."""
import copy
from collections.abc import Sequence

from ..errors import InputError
from .batch_queue import Item
from .images import Source
from .prediction import Prediction
from .predictor import Predictor
from .stream_state import StreamState


class StreamBatch:
    """Streams of frames that go through a model together, frame by frame.

    A model that remembers, `StreamSegmentor`, has a state per stream; any other segments every frame alone. Frames of
    one size go through the network together; the labels of a stream are those that it would have alone.

    Args:
        predictor: Has the model.
        num_streams: How many streams, at least 1.

    Raises:
        InputError: `num_streams` is none.
    """

    def __init__(self, predictor: Predictor, num_streams: int):
        if not isinstance(num_streams, int) or isinstance(num_streams, bool) or num_streams < 1:
            raise InputError(f'num_streams must be a positive integer, got {num_streams!r}')
        self.predictor = predictor
        self._pipeline = copy.deepcopy(predictor.pipeline)  # transforms keep what they draw
        self._states: list[StreamState | None] = [None] * num_streams
        self._numbers = [0] * num_streams

    def __len__(self) -> int:
        return len(self._states)

    def __call__(self, frames: Sequence[Source | None]) -> list[Prediction | None]:
        """Segments the next frame of each stream.

        Args:
            frames: One per stream, see `Predictor`; None for a stream that has none now, whose state stays.

        Returns:
            A prediction per stream; None where there was no frame.

        Raises:
            InputError: There are more or fewer frames than streams, or one cannot be segmented, which says which. All
                states are then as they were.
        """
        if len(frames) != len(self):
            raise InputError(f'{len(frames)} frames for {len(self)} streams; give one per stream, None where a stream '
                             'has none now')
        items: dict[int, Item] = {}
        for stream, frame in enumerate(frames):
            if frame is not None:
                where = f'streams[{stream}], ' * (len(self) > 1) + f'frame {self._numbers[stream]}'
                items[stream] = self.predictor.prepare(frame, where, self._pipeline)
        for item in items.values():
            if item.result is not None:
                raise item.result
        groups: dict[tuple, list[int]] = {}
        for stream, item in items.items():
            groups.setdefault(item.kind, []).append(stream)
        after: dict[int, StreamState | None] = {}
        for group in groups.values():
            states = self.predictor.run_streams([items[stream] for stream in group],
                                                [self._states[stream] for stream in group])
            after.update(zip(group, states, strict=True))
        for stream, state in after.items():  # only now, that all frames are segmented
            self._states[stream] = state
            self._numbers[stream] += 1
        return [items[stream].result if stream in items else None for stream in range(len(self))]

    def reset(self, stream: int | None = None) -> None:
        """Lets a stream, or all of them, begin anew with the next frame."""
        for number in range(len(self)) if stream is None else [self._checked(stream)]:
            self._states[number] = None

    def state(self, stream: int = 0) -> StreamState | None:
        """Returns the state of a stream, to be saved or restored elsewhere; None before its first frame."""
        return self._states[self._checked(stream)]

    def restore(self, state: StreamState | None, stream: int = 0) -> None:
        """Sets the state of a stream, which goes on from there.

        Raises:
            InputError: It is the state of several streams, or of another kind of model.
        """
        self.predictor.check_state(state)
        self._states[self._checked(stream)] = state

    def _checked(self, stream: int) -> int:
        if not isinstance(stream, int) or not 0 <= stream < len(self):
            raise InputError(f'stream must be from 0 to {len(self) - 1}, got {stream!r}')
        return stream
