"""Metrics; importing this registers them with MMSegmentation."""
from .video_metric import VideoMetric

__all__ = ['VideoMetric']
