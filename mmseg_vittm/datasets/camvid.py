"""`CamVid`: labelled street scenes of a driving car, 480 x 360 pixels, 11 classes; `CamVidVideo`: in their order."""
from mmseg.datasets import BaseSegDataset

from ..stack import DATASETS
from .video.dataset import VideoSegDataset


@DATASETS.register_module()
class CamVid(BaseSegDataset):
    """The Cambridge-driving Labeled Video Database in the usual split of 11 classes.

    Files are `images/SPLIT/NAME.jpg` and `annotations/SPLIT/NAME.png`, whose pixels are class indices or 255 for void;
    an `ann_file` lists names, one a line. Source: Brostow, Fauqueur and Cipolla, "Semantic Object Classes in Video",
    Pattern Recognition Letters 2009; the classes are those of SegNet's tutorial.

    Arguments are `BaseSegDataset`'s.
    """
    METAINFO = dict(
        classes=('sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign symbol', 'fence', 'car', 'pedestrian',
                 'bicyclist'),
        palette=[[128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222], [128, 128, 0],
                 [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0], [0, 128, 192]])


@DATASETS.register_module()
class CamVidVideo(VideoSegDataset):
    """CamVid's frames in the order of its videos.

    Names are `SEQUENCE_FRAME`, of 30 frames a second. Of the usual split, training has sequences at 1 Hz
    (`max_gap=30` tells their runs apart), validation one clip of 101 frames at 15 Hz.

    Arguments are `VideoSegDataset`'s.
    """
    METAINFO = CamVid.METAINFO
