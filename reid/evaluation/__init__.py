"""Embeddings in, exact ranks and metrics out. ``evaluate`` is the door; everything behind it is a pure function."""

from reid.evaluation.cameras import CameraMatrix, by_camera
from reid.evaluation.compare import Comparison, compare
from reid.evaluation.evaluate import check_labels, evaluate
from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Labels
from reid.evaluation.protocol import Protocol
from reid.evaluation.protocols import PROTOCOLS
from reid.evaluation.result import Evaluation
from reid.evaluation.search import ranked_gallery
from reid.evaluation.uncertainty import Interval

__all__ = [
    "PROTOCOLS",
    "CameraMatrix",
    "Comparison",
    "Evaluation",
    "Gallery",
    "Interval",
    "Labels",
    "Protocol",
    "by_camera",
    "check_labels",
    "compare",
    "evaluate",
    "ranked_gallery",
]
