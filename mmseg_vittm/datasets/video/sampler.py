"""`VideoSampler`: whole videos in order, each to one process."""
from collections.abc import Iterator

from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler

from ...errors import InputError


@DATA_SAMPLERS.register_module()
class VideoSampler(Sampler):
    """Goes through the frames of videos in order, for testing; each video goes to one process.

    Videos are dealt out by length, the longest first, each to the process that has the fewest frames. One process has
    all frames in the order of the data set. Nothing is added to make processes equal, as mmengine's `DefaultSampler`
    does by giving frames twice: processes end with unequal numbers of frames, those beyond the number of videos with
    none. So mmengine's `collect_results`, which cuts the gathered results off at the size of the data set to drop what
    was added, drops nothing, as long as a metric has at most one result per frame.

    Args:
        dataset: A `VideoSegDataset` with `test_mode=True`, or a wrapper or concatenation of some that has
            `get_data_info`.
        seed: Is given by mmengine's Runner and used for nothing.

    Raises:
        InputError: The data set has no videos (when it is first asked for an order).
    """

    def __init__(self, dataset: Dataset, seed: int | None = None):
        self.dataset = dataset
        self.rank, self.world_size = get_dist_info()
        self._order: list[int] | None = None

    def __iter__(self) -> Iterator[int]:
        return iter(self._own())

    def __len__(self) -> int:
        """The number of frames of this process."""
        return len(self._own())

    def _own(self) -> list[int]:
        """Returns the frames of this process; looks them up once."""
        if self._order is None:
            self._order = deal(self._videos(), self.world_size)[self.rank]
        return self._order

    def _videos(self) -> list[range]:
        """Returns the frames of each video, as they follow each other in the data set."""
        videos: list[range] = []
        last = None, 0
        for number in range(len(self.dataset)):
            frame = self.dataset.get_data_info(number)
            if 'frame_index' not in frame:
                raise InputError(f'VideoSampler: {frame.get("img_path")} is a frame of no video; give it a '
                                 'VideoSegDataset, or take DefaultSampler')
            if frame['video'] != last[0] or frame['frame_index'] <= last[1]:
                videos.append(range(number, number))
            videos[-1] = range(videos[-1].start, number + 1)
            last = frame['video'], frame['frame_index']
        return videos


def deal(videos: list[range], processes: int) -> list[list[int]]:
    """Returns the frames of each process: its videos, in the order in which the data set has them.

    Args:
        videos: The frames of each video.
        processes: Number of processes.
    """
    hands: list[list[range]] = [[] for _ in range(processes)]
    for video in sorted(videos, key=len, reverse=True):
        min(hands, key=lambda hand: sum(map(len, hand))).append(video)
    return [[number for video in sorted(hand, key=lambda one: one.start) for number in video] for hand in hands]
