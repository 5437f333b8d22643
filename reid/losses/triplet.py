"""Batch-hard triplet loss."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reid.errors import UserError


class BatchHardTriplet(nn.Module):
    """Batch-hard triplet loss (Hermans et al., In Defense of the Triplet Loss, 2017, equation 5).

    For every image a of the batch: ``max(0, margin + max_p d(a, p) - min_n d(a, n))`` with Euclidean d, p over the
    other images of its identity and n over the images of other identities; the mean over all anchors that have both.
    ``margin=None`` takes the soft margin ``log(1 + exp(...))`` instead (section 2 there).

    The pairs are chosen without a gradient and their distances computed again from the differences themselves, so
    the gradient of a distance is exact at any size, and zero where two features are equal.

    A batch in which no anchor has both gives 0, still connected to the features.

    Raises:
        UserError: a negative margin.
    """

    def __init__(self, margin: float | None = 0.3) -> None:
        super().__init__()
        if margin is not None and margin < 0:
            raise UserError(f"margin={margin} must be at least 0, or null for the soft margin")
        self.margin = margin

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Features float32 [B, D], labels int64 [B] -> scalar, in units of the features' distance."""
        positive, negative, valid = hardest(features.detach(), labels)
        # index_select, since the gradient of features[...] is summed in no fixed order on a CPU
        d_positive = torch.linalg.vector_norm(features - features.index_select(0, positive), dim=1)  # [B]
        d_negative = torch.linalg.vector_norm(features - features.index_select(0, negative), dim=1)  # [B]
        gap = (d_positive - d_negative)[valid]
        terms = F.softplus(gap) if self.margin is None else F.relu(gap + self.margin)
        return terms.sum() / max(len(terms), 1)


def hardest(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each anchor its farthest positive and nearest negative, int64 [B] each, and whether it has both, bool [B]."""
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    same = labels[:, None] == labels[None, :]
    others = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positive = distances.masked_fill(~others, -1).argmax(1)
    negative = distances.masked_fill(same, torch.inf).argmin(1)
    return positive, negative, others.any(1) & (~same).any(1)
