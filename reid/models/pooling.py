"""Feature map [B, C, h, w] -> feature [B, C], in float32."""

import torch
from torch import Tensor, nn

from reid.errors import UserError


class AvgPool(nn.Module):
    """Mean over the map."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float().mean((2, 3))


class MaxPool(nn.Module):
    """Maximum over the map."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float().amax((2, 3))


class AvgMaxPool(nn.Module):
    """Mean plus maximum."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        return x.mean((2, 3)) + x.amax((2, 3))


class GeM(nn.Module):
    """Generalised mean ``mean(x^p)^(1/p)`` with a learned p (Radenovic et al., TPAMI 2019, equation 3).

    p = 1 is the mean, p -> infinity the maximum. Values below ``eps`` count as ``eps``, so the root stays
    differentiable.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x.float().clamp(min=self.eps).pow(self.p).mean((2, 3)).pow(1 / self.p)


POOLINGS: dict[str, type[nn.Module]] = {"avg": AvgPool, "max": MaxPool, "avgmax": AvgMaxPool, "gem": GeM}


def build(name: str) -> nn.Module:
    """The pooling called ``name``; UserError lists the names."""
    if name not in POOLINGS:
        raise UserError(f"head.pooling={name} is unknown: choose one of {', '.join(POOLINGS)}")
    return POOLINGS[name]()
