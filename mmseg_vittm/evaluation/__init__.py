"""Metrics; importing this registers them with MMSegmentation."""
from .detailed_metric import DetailedMetric
from .video_metric import VideoMetric

__all__ = ['DetailedMetric', 'VideoMetric']
