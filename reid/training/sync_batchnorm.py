"""BatchNorm over the batch of all processes (trainer.sync_batchnorm)."""

from collections.abc import Callable

import torch
from pytorch_lightning.plugins.layer_sync import LayerSync
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from reid import processes


class SyncBatchNorms(LayerSync):
    """Lightning's place for it. BatchNorms that are kept as they are (``backbone.freeze``) stay apart.

    torch's own needs a GPU; on a CPU it is the one below.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def apply(self, model: nn.Module) -> nn.Module:
        if self._device.type == "cpu":
            return synchronise(model, SyncBatchNorm.of)
        from timm.layers import convert_sync_batchnorm  # torch's would lose the activation in timm's BatchNorms

        return synchronise(model, convert_sync_batchnorm)

    def revert(self, model: nn.Module) -> nn.Module:
        return model


def synchronise(model: nn.Module, convert: Callable[[_BatchNorm], nn.Module]) -> nn.Module:
    """Put ``convert(norm)`` in the place of every BatchNorm in training; the names of its parameters stay."""
    for name, child in list(model.named_children()):
        if not isinstance(child, _BatchNorm):
            synchronise(child, convert)
        elif child.training and not isinstance(child, SyncBatchNorm | nn.SyncBatchNorm):
            model.add_module(name, convert(child))
    return model


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation by the mean and variance over the images of all processes, on any device.

    Output, gradients and running statistics are those of torch's BatchNorm on the joined batch (Ioffe and Szegedy,
    2015): biased variance to normalise by, unbiased for the running statistics. Sums are in float64, as torch's are on
    a CPU. In evaluation it is torch's BatchNorm.
    """

    drop: nn.Module
    act: nn.Module

    @classmethod
    def of(cls, norm: _BatchNorm) -> "SyncBatchNorm":
        """One with the parameters and buffers of ``norm``, and the dropout and activation that timm's have inside."""
        new = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        new._parameters, new._buffers, new.training = norm._parameters, norm._buffers, norm.training
        new.drop, new.act = getattr(norm, "drop", nn.Identity()), getattr(norm, "act", nn.Identity())
        return new

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, ...] -> the same shape and dtype."""
        normalised = self._over_all(input) if self.training and processes.count() > 1 else super().forward(input)
        return self.act(self.drop(normalised))

    def _over_all(self, input: Tensor) -> Tensor:
        others = [0, *range(2, input.ndim)]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        x = input.float()
        count = torch.full((1,), x.numel() // x.shape[1], device=x.device)
        sums = [part.sum(others, dtype=torch.float64) for part in (x, x.square())]  # float64 bears their difference
        of_all = processes.total(torch.cat([*sums, count]))  # [2C + 1], in one message
        mean, square = (of_all[:-1] / of_all[-1].detach()).chunk(2)
        variance, count = (square - mean.square()).clamp(min=0), of_all[-1].detach()
        self._track(mean.detach(), variance.detach() * count / (count - 1))
        scale = (variance + self.eps).rsqrt().float()
        if self.weight is not None:
            scale = scale * self.weight
        out = (x - mean.float().reshape(shape)) * scale.reshape(shape)
        return (out if self.bias is None else out + self.bias.reshape(shape)).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked or 1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)
