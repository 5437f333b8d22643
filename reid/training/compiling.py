"""The training step's network as code that ``torch.compile`` makes (trainer.compile)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from reid.models.embedder import Embedder


def compiled(embedder: Embedder) -> Callable[[Tensor, Tensor], Any]:
    """``Embedder.classify`` for uint8 images, compiled once for batches of any size, since those of an epoch differ.

    The network itself stays as it is, so that checkpoints and validation know nothing of it.
    """
    classify = torch.compile(embedder.classify)

    def of_any_size(images: Tensor, camids: Tensor) -> Any:
        images = images / 255  # float, since what is fastest for bytes is nothing that the compiler reads
        for rows in (images, camids):
            torch._dynamo.maybe_mark_dynamic(rows, 0)
        return classify(images, camids)

    return of_any_size
