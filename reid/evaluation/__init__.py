"""Embeddings in, exact ranks and metrics out. ``evaluate`` is the door; everything behind it is a pure function."""

from reid.evaluation.attributes import AttributeTable, by_attribute
from reid.evaluation.cameras import CameraMatrix, by_camera
from reid.evaluation.compare import Comparison, compare
from reid.evaluation.evaluate import check_labels, evaluate
from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Labels
from reid.evaluation.open_set import OpenSet, open_set
from reid.evaluation.protocol import Protocol
from reid.evaluation.protocols import PROTOCOLS
from reid.evaluation.reranking.expansion import Expansion, expand
from reid.evaluation.reranking.rerank import Rerank, reranked_distances
from reid.evaluation.result import Evaluation
from reid.evaluation.search import GalleryIndex, IndexOptions, evaluate_index, ranked_gallery, search_report
from reid.evaluation.translate import Translation, translate
from reid.evaluation.uncertainty import Interval
from reid.evaluation.verification import Verification, verify
from reid.evaluation.views import by_identity, hardest_queries, score_distributions

__all__ = [
    "PROTOCOLS",
    "AttributeTable",
    "CameraMatrix",
    "Comparison",
    "Evaluation",
    "Expansion",
    "Gallery",
    "GalleryIndex",
    "IndexOptions",
    "Interval",
    "Labels",
    "OpenSet",
    "Protocol",
    "Rerank",
    "Translation",
    "Verification",
    "by_attribute",
    "by_camera",
    "by_identity",
    "check_labels",
    "compare",
    "evaluate",
    "evaluate_index",
    "expand",
    "hardest_queries",
    "open_set",
    "ranked_gallery",
    "reranked_distances",
    "score_distributions",
    "search_report",
    "translate",
    "verify",
]
