"""Embeddings in, exact ranks and metrics out. ``evaluate`` is the door; everything behind it is a pure function."""

from reid.evaluation.cameras import CameraMatrix, by_camera
from reid.evaluation.compare import Comparison, compare
from reid.evaluation.evaluate import check_labels, evaluate
from reid.evaluation.expansion import Expansion, expand
from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Labels
from reid.evaluation.protocol import Protocol
from reid.evaluation.protocols import PROTOCOLS
from reid.evaluation.rerank import Rerank, reranked_distances
from reid.evaluation.result import Evaluation
from reid.evaluation.search import GalleryIndex, IndexOptions, evaluate_index, ranked_gallery, search_report
from reid.evaluation.translate import Translation, translate
from reid.evaluation.uncertainty import Interval

__all__ = [
    "PROTOCOLS",
    "CameraMatrix",
    "Comparison",
    "Evaluation",
    "Expansion",
    "Gallery",
    "GalleryIndex",
    "IndexOptions",
    "Interval",
    "Labels",
    "Protocol",
    "Rerank",
    "Translation",
    "by_camera",
    "check_labels",
    "compare",
    "evaluate",
    "evaluate_index",
    "expand",
    "ranked_gallery",
    "reranked_distances",
    "search_report",
    "translate",
]
