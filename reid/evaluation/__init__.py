"""Embeddings in, exact ranks and metrics out. ``evaluate`` is the door; everything behind it is a pure function."""

from reid.evaluation.evaluate import Evaluation, check_labels, evaluate
from reid.evaluation.protocol import PROTOCOLS, Protocol
from reid.evaluation.search import ranked_gallery

__all__ = ["PROTOCOLS", "Evaluation", "Protocol", "check_labels", "evaluate", "ranked_gallery"]
