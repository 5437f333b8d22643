"""What may be asked for beside the numbers: by attribute, through a FAISS index, as other frameworks report them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.data.attributes import Attributes
from reid.errors import UserError
from reid.evaluation import Evaluation, Protocol, by_attribute, evaluate_index, translate
from reid.evaluation.search import KINDS


@dataclass(frozen=True)
class Beside:
    """Which of these: a kind of index or None, whether to translate, and the attributes of people or None.

    Raises:
        UserError: the kind is unknown.
    """

    index: str | None = None
    translate: bool = False
    attributes: Attributes | None = None

    def __post_init__(self) -> None:
        if self.index is not None and self.index not in KINDS:
            raise UserError(f"eval.index={self.index} is unknown: choose one of {', '.join(KINDS)}")

    def by_attribute(self, evaluation: Evaluation) -> dict[str, Any]:
        """Print and return the numbers by attribute of the queried people; nothing where it is not asked for."""
        if self.attributes is None:
            return {}
        table = by_attribute(evaluation, self.attributes)
        print(f"\nby attribute of the queried people\n{table}")
        return {"by_attribute": table.to_dict()}

    def through_index(
        self,
        query: np.ndarray,
        gallery: np.ndarray,
        labels: Mapping[str, Any],
        protocol: Protocol,
        exact: Evaluation | None,
    ) -> dict[str, Any]:
        """Print and return what the index finds, beside the exact numbers; nothing where none is asked for."""
        if self.index is None:
            return {}
        found = evaluate_index(self.index, query, gallery, **labels, protocol=protocol, exact=exact)
        print(f"\nthrough the index\n{found}")
        return {"index": found.to_dict()}

    def translated(
        self, query: np.ndarray, gallery: np.ndarray, labels: Mapping[str, Any], protocol: Protocol, **flipped: Any
    ) -> dict[str, Any]:
        """Print and return the table of other frameworks; nothing where it is not asked for."""
        if not self.translate:
            return {}
        table = translate(query, gallery, **labels, protocol=protocol, **flipped)
        print(f"\nas other frameworks report it\n{table}")
        return {"translation": table.to_dict()}
