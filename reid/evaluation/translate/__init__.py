"""The same features as the well-known frameworks would judge them, and why their numbers differ."""

from reid.evaluation.translate.frameworks import translate
from reid.evaluation.translate.table import Row, Translation

__all__ = ["Row", "Translation", "translate"]
