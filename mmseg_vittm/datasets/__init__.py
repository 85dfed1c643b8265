"""Data sets; importing this registers them with MMSegmentation."""
from ..stack import DATASETS  # noqa: F401  (one sentence where MMSegmentation is missing)
from .balance.class_crop import ClassCrop
from .balance.rare_class_sampler import RareClassSampler
from .bands.band_jitter import BandJitter
from .bands.load_bands import LoadBands
from .bands.preprocessor import BandsPreProcessor
from .bands.random_rescale import RandomRescale
from .camvid import CamVid, CamVidVideo
from .checked_dataset import CheckedDataset
from .moving_toy.scenes import MovingToyScenes
from .paired import PairedSegDataset
from .toy.scenes import ToyScenes
from .video.collate import clip_collate
from .video.dataset import VideoSegDataset
from .video.disturb_frames import DisturbFrames
from .video.sampler import VideoSampler
from .video.still_motion import StillMotion

__all__ = ['BandJitter', 'BandsPreProcessor', 'CamVid', 'CamVidVideo', 'CheckedDataset', 'ClassCrop', 'DisturbFrames',
           'LoadBands', 'MovingToyScenes', 'PairedSegDataset', 'RandomRescale', 'RareClassSampler', 'StillMotion',
           'ToyScenes', 'VideoSampler', 'VideoSegDataset', 'clip_collate']
