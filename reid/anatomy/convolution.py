"""What a convolution or pooling is set to do, what kind it is, and the size its output should have."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from torch import nn

KINDS = ("transposed", "depthwise", "grouped", "1x1", "asymmetric", "dilated", "standard")
Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_AVERAGE_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_LP_POOLS = (nn.LPPool1d, nn.LPPool2d)
ADAPTIVE_POOLS = (
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip


@dataclass(frozen=True)
class Window:
    """The settings of a convolution or pooling, one number for each axis of the map.

    Attributes:
        kind: for convolutions the first of ``KINDS`` that applies; for poolings "max", "average" or "power".
        flags: all of ``KINDS`` that apply; a depthwise convolution may be dilated too.
        padding: pixels before and after the map; for "same" those that keep its size.
        same: True for padding="same".
        ceil: True for a pooling that rounds its size up.
        parameters: those of the layer; ``standard_parameters`` are those of a convolution of the same channels with one
            group and a square kernel as long as the longer side.
    """

    kind: str
    flags: tuple[str, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    same: bool = False
    ceil: bool = False
    output_padding: tuple[int, ...] = ()
    in_channels: int | None = None
    out_channels: int | None = None
    groups: int = 1
    parameters: int = 0
    standard_parameters: int = 0

    @property
    def is_convolution(self) -> bool:
        return self.in_channels is not None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def output_size(
    size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, *, ceil: bool = False
) -> int:
    """Units of a convolution or pooling along one axis: floor((n + 2p - d (k - 1) - 1) / s) + 1.

    With ``ceil`` the quotient is rounded up, but a last window that would start beyond the map and the padding before
    it is dropped, as PyTorch does. A result below 1 means that the map is too small.
    """
    return _units(size, kernel, stride, (padding, padding), dilation, ceil)


def transposed_size(
    size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, output_padding: int = 0
) -> int:
    """Units of a transposed convolution along one axis: (n - 1) s - 2p + d (k - 1) + output padding + 1."""
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1


def window_of(module: nn.Module) -> Window | None:
    """The settings of a convolution or pooling layer; None for any other module."""
    if isinstance(module, CONVOLUTIONS):
        return _convolution(module)
    if isinstance(module, (*_MAX_POOLS, *_AVERAGE_POOLS, *_LP_POOLS)):
        return _pooling(module)
    return None


def expected_size(module: nn.Module, sizes: Sequence[int]) -> tuple[int, ...] | None:
    """The size by the formula for a map of ``sizes``; None for a layer without such a formula.

    Adaptive poolings have the size they are told to have.
    """
    if isinstance(module, ADAPTIVE_POOLS):
        told = _spread(module.output_size, len(sizes))
        return tuple(n if o is None else o for n, o in zip(sizes, told, strict=True))
    w = window_of(module)
    if w is None or len(w.kernel) != len(sizes):
        return None
    if isinstance(module, _TRANSPOSED):
        return tuple(
            transposed_size(n, w.kernel[i], w.stride[i], w.padding[i][0], w.dilation[i], w.output_padding[i])
            for i, n in enumerate(sizes)
        )
    return tuple(
        _units(n, w.kernel[i], w.stride[i], w.padding[i], w.dilation[i], w.ceil) for i, n in enumerate(sizes)
    )  # fmt: skip


def _units(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, ceil: bool) -> int:
    room = size + sum(padding) - dilation * (kernel - 1) - 1
    units = (-(-room // stride) if ceil else room // stride) + 1
    return units - 1 if ceil and (units - 1) * stride >= size + padding[0] else units


def _convolution(module: Conv) -> Window:
    kernel, dilation = tuple(module.kernel_size), tuple(module.dilation)
    same = module.padding == "same"
    if same:
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        padding = tuple((t // 2, t - t // 2) for t in totals)
    else:
        sides = [0] * len(kernel) if module.padding == "valid" else module.padding
        padding = tuple((int(p), int(p)) for p in sides)
    flags = _flags(module, kernel, dilation)
    bias = 0 if module.bias is None else module.out_channels
    weights = module.in_channels * module.out_channels
    return Window(
        kind=next(k for k in KINDS if k in flags), flags=flags, kernel=kernel, stride=tuple(module.stride),
        padding=padding, dilation=dilation, same=same, output_padding=tuple(module.output_padding),
        in_channels=module.in_channels, out_channels=module.out_channels, groups=module.groups,
        parameters=weights // module.groups * prod(kernel) + bias,
        standard_parameters=weights * max(kernel) ** len(kernel) + bias,
    )  # fmt: skip


def _flags(module: Conv, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[str, ...]:
    applies = {
        "transposed": isinstance(module, _TRANSPOSED),
        "depthwise": 1 < module.groups == module.in_channels,
        "grouped": 1 < module.groups < module.in_channels,
        "1x1": max(kernel) == 1,
        "asymmetric": len(set(kernel)) > 1,
        # Between the taps of a single one there is no room.
        "dilated": any(d > 1 and k > 1 for k, d in zip(kernel, dilation, strict=True)),
    }
    return tuple(k for k, yes in applies.items() if yes) or ("standard",)


def _pooling(module: Any) -> Window:
    lp, most = isinstance(module, _LP_POOLS), isinstance(module, _MAX_POOLS)
    axes = _axes_of(module)
    kernel = _spread(module.kernel_size, axes)
    kind = "max" if most else "power" if lp else "average"
    return Window(
        kind=kind, flags=(kind,), kernel=kernel,
        stride=kernel if module.stride is None else _spread(module.stride, axes),
        padding=((0, 0),) * axes if lp else tuple((p, p) for p in _spread(module.padding, axes)),
        dilation=_spread(module.dilation, axes) if most else (1,) * axes, ceil=bool(module.ceil_mode),
    )  # fmt: skip


def _axes_of(module: nn.Module) -> int:
    families = (_MAX_POOLS, _AVERAGE_POOLS, _LP_POOLS)
    return next(i + 1 for family in families for i, t in enumerate(family) if isinstance(module, t))


def _spread(value: Any, axes: int) -> tuple[Any, ...]:
    """One setting for every axis, or one each."""
    if isinstance(value, (tuple, list)):
        return tuple(value) if len(value) == axes else tuple(value) * axes
    return (value,) * axes
