"""Search by FAISS: ranked lists, a gallery index for production, and what an approximate index costs in accuracy."""

from reid.evaluation.search.gallery import GalleryIndex
from reid.evaluation.search.judged import IndexEvaluation, evaluate_index, ranks_through
from reid.evaluation.search.lists import ranked_gallery
from reid.evaluation.search.options import KINDS, IndexOptions
from reid.evaluation.search.report import SearchReport, search_report

__all__ = [
    "KINDS",
    "GalleryIndex",
    "IndexEvaluation",
    "IndexOptions",
    "SearchReport",
    "evaluate_index",
    "ranked_gallery",
    "ranks_through",
    "search_report",
]
