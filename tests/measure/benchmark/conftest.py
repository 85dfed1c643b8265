"""Fixtures of the benchmark's tests."""
from pathlib import Path

import pytest
from measuring import ade_folder, sliding_config


@pytest.fixture
def config(tmp_path) -> Path:
    """A tiny ViTTM that slides over images of 64 pixels in height."""
    return sliding_config(tmp_path)


@pytest.fixture
def folder(tmp_path) -> Path:
    """ADE20K's layout with one validation image, 30 x 50."""
    return ade_folder(tmp_path)
