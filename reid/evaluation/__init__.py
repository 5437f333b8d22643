"""Embeddings in, exact ranks and metrics out. ``evaluate`` is the door; everything behind it is a pure function."""

from reid.evaluation.cameras import CameraMatrix, by_camera
from reid.evaluation.compare import Comparison, compare
from reid.evaluation.evaluate import Evaluation, check_labels, evaluate
from reid.evaluation.protocol import PROTOCOLS, Protocol
from reid.evaluation.search import ranked_gallery
from reid.evaluation.uncertainty import Interval

__all__ = [
    "PROTOCOLS",
    "CameraMatrix",
    "Comparison",
    "Evaluation",
    "Interval",
    "Protocol",
    "by_camera",
    "check_labels",
    "compare",
    "evaluate",
    "ranked_gallery",
]
