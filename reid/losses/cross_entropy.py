"""Identity classification."""

import torch.nn.functional as F
from torch import Tensor, nn

from reid.errors import UserError


class CrossEntropy(nn.Module):
    """Softmax cross-entropy with label smoothing (Szegedy et al., Rethinking the Inception Architecture, 2016, sec. 7).

    With smoothing e over C identities the target is ``1 - e + e / C`` for the true one and ``e / C`` for the others.
    Luo et al. 2019 write ``1 - e (C - 1) / C`` for the true one, which is the same.

    Raises:
        UserError: ``label_smoothing`` is not in 0..1.
    """

    def __init__(self, label_smoothing: float = 0.1) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise UserError(f"label_smoothing={label_smoothing} must be at least 0 and under 1")
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Logits float32 [B, C], labels int64 [B] -> scalar, the mean over the batch in nats.

        Labels may be probabilities float32 [B, C]; of mixed identities the loss is the same mixture of their losses.
        """
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
