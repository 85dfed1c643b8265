"""What tests of videos share."""
from collections.abc import Callable, Mapping

import pytest
from tiny_videos import video_config, write_videos

from mmseg_vittm.stack import DATASETS


@pytest.fixture
def make(tmp_path, mmseg_scope) -> Callable:
    """Builds a `VideoSegDataset` of videos that it writes: make(dict(a=[0, 1, 2]), clip_length=2)."""
    def build(numbers: Mapping[str, list[int]], name: str = '{video}/frame_{number:04d}',
              unlabelled: tuple[tuple[str, int], ...] = (), **changes):
        root = write_videos(tmp_path / 'set', numbers, name, unlabelled)
        return DATASETS.build(video_config(root, **changes))
    return build

