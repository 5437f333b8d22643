"""Float32 products as float32: the bounds on rounding of ``ranking`` and ``reranking`` hold for nothing less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """Within it, PyTorch multiplies float32 matrices without TF32 or bfloat16, on a GPU and on the CPU.

    A training script may have allowed either, by ``torch.set_float32_matmul_precision("high")`` for one; what it chose
    is in force again afterwards.
    """
    mkldnn: Any = torch.backends.mkldnn  # whose stub does not know ``matmul``
    products = torch.backends.cuda.matmul, mkldnn.matmul
    allowed = [product.fp32_precision for product in products]
    for product in products:
        product.fp32_precision = "ieee"
    try:
        yield
    finally:
        for product, precision in zip(products, allowed, strict=True):
            product.fp32_precision = precision
