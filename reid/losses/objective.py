"""What training minimises: a weighted sum of losses, each on the feature or on the logits."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from reid.errors import UserError

INPUTS = ("feature", "logits")


class Objective(nn.Module):
    """Weighted sum of losses, computed in float32 whatever the network's precision.

    Args:
        terms: by name, ``{"loss": module (input, labels) -> scalar, "input": "feature" or "logits", "weight": float}``.
        auxiliary: what a loss on the logits of an auxiliary classifier counts beside that on the logits; 0.3 in Szegedy
            et al., CVPR 2015, section 5.

    Raises:
        UserError: no term, or a term on something else.
    """

    def __init__(self, terms: Mapping[str, Mapping], auxiliary: float = 0.3) -> None:
        super().__init__()
        if not terms:
            raise UserError("objective.terms is empty: give at least one loss")
        for name, term in terms.items():
            if missing := [key for key in ("loss", "input", "weight") if key not in term]:
                raise UserError(f"objective.terms.{name}.{missing[0]} is missing: a term has loss, input and weight")
            if term["input"] not in INPUTS:
                raise UserError(
                    f"objective.terms.{name}.input={term['input']} is unknown: choose {' or '.join(INPUTS)}"
                )
        self.losses = nn.ModuleDict({name: term["loss"] for name, term in terms.items()})
        self.input = {name: term["input"] for name, term in terms.items()}
        self.weights = {name: float(term["weight"]) for name, term in terms.items()}
        self.auxiliary = float(auxiliary)

    def forward(
        self, feature: Tensor, logits: Tensor, labels: Tensor, side: Sequence[Tensor] = ()
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Feature [B, D], logits [B, C], labels int64 [B] -> the weighted sum, and each term unweighted.

        Losses on the logits may be given probabilities float32 [B, C] as labels, if they take them.
        ``side`` are logits [B, C] of auxiliary classifiers; their losses are in the sum alone.
        """
        with torch.autocast(feature.device.type, enabled=False):
            inputs = {"feature": feature.float(), "logits": logits.float()}
            terms = {name: loss(inputs[self.input[name]], labels) for name, loss in self.losses.items()}
            parts = [self.weights[name] * term for name, term in terms.items()]
            for name in (n for n, given in self.input.items() if given == "logits"):
                parts += [self.auxiliary * self.weights[name] * self.losses[name](s.float(), labels) for s in side]
            total = torch.stack(parts).sum()
        return total, terms
