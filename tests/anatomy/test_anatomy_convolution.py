import random
import warnings

import pytest
import torch
from torch import nn

from reid.anatomy import KINDS, analyse, output_size, transposed_size
from reid.anatomy.convolution import expected_size, window_of

COUNTS_ONLY = {"effective_inputs": 0, "shifts": (), "batches": ()}


def random_layers(count: int) -> list[tuple[nn.Module, tuple[int, int]]]:
    """Layers of any settings that PyTorch accepts, each with the size of a map that may be too small for it."""
    draw = random.Random(0)
    pair = lambda low, high: (draw.randint(low, high), draw.randint(low, high))  # noqa: E731
    out: list[tuple[nn.Module, tuple[int, int]]] = []
    for _ in range(count):
        kernel, stride, dilation = pair(1, 5), pair(1, 4), pair(1, 3)
        pad = tuple(draw.randint(0, k // 2) for k in kernel)
        ceil = draw.random() < 0.5
        extra = tuple(draw.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
        choices = [
            nn.Conv2d(2, 2, kernel, stride, pair(0, 4), dilation),
            nn.Conv2d(2, 2, kernel, 1, "same", dilation),
            nn.Conv2d(2, 2, kernel, stride, "valid", dilation),
            nn.ConvTranspose2d(2, 2, kernel, stride, pad, extra, 1, True, dilation),
            nn.MaxPool2d(kernel, stride, pad, dilation, ceil_mode=ceil),
            nn.AvgPool2d(kernel, stride, pad, ceil_mode=ceil),
            nn.LPPool2d(2, kernel, stride, ceil_mode=ceil),
            nn.MaxPool2d(kernel, padding=pad, ceil_mode=ceil),
            nn.AdaptiveAvgPool2d((draw.randint(1, 9), None)),
        ]
        out.append((draw.choice(choices), pair(1, 20)))
    return out


def test_formula_is_what_pytorch_gives() -> None:
    refused = differing = 0
    for layer, size in random_layers(1500):
        expected = expected_size(layer, size)
        assert expected is not None
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                real = tuple(layer(torch.zeros(1, 2, *size)).shape[2:])
            except RuntimeError:
                assert min(expected) < 1, (layer, size)
                refused += 1
                continue
        assert real == expected, (layer, size)
        differing += real != size
    assert refused > 50
    assert differing > 500


def test_formula_by_hand() -> None:
    assert output_size(224, 7, 2, 3) == 112  # the first layer of a ResNet
    assert output_size(224, 11, 4, 2) == 55  # of AlexNet
    assert output_size(7, 3, 1, 0, 2) == 3  # a dilated 3 reaches as far as a 5
    assert output_size(112, 3, 2, ceil=True) == 56  # GoogLeNet's pools
    # Rounded up there would be three windows, but the third would start in the padding behind the map.
    assert output_size(4, 2, 3, 1, ceil=True) == 2
    assert transposed_size(7, 4, 2, 1) == 14
    assert output_size(2, 5) == -2


CASES = [
    (nn.Conv2d(8, 16, 3), "standard", ("standard",), 8 * 16 * 9 + 16),
    (nn.Conv2d(8, 16, 1, bias=False), "1x1", ("1x1",), 8 * 16),
    (nn.Conv2d(8, 16, 3, groups=4), "grouped", ("grouped",), 8 * 16 * 9 + 16),
    (nn.Conv2d(8, 16, 1, groups=4), "grouped", ("grouped", "1x1"), 8 * 16 + 16),
    (nn.Conv2d(8, 8, 3, groups=8, dilation=2), "depthwise", ("depthwise", "dilated"), 8 * 8 * 9 + 8),
    (nn.Conv2d(8, 16, 3, groups=8), "depthwise", ("depthwise",), 8 * 16 * 9 + 16),
    (nn.Conv2d(8, 16, 3, dilation=(1, 2)), "dilated", ("dilated",), 8 * 16 * 9 + 16),
    (nn.Conv2d(8, 16, (1, 7), padding=(0, 3)), "asymmetric", ("asymmetric",), 8 * 16 * 49 + 16),
    (nn.ConvTranspose2d(8, 16, 4, 2), "transposed", ("transposed",), 8 * 16 * 16 + 16),
    (nn.Conv2d(8, 16, 1, dilation=3), "1x1", ("1x1",), 8 * 16 + 16),
    (nn.Conv2d(1, 16, 3), "standard", ("standard",), 16 * 9 + 16),
    (nn.Conv1d(8, 16, 5), "standard", ("standard",), 8 * 16 * 5 + 16),
    (nn.Conv1d(8, 16, 1), "1x1", ("1x1",), 8 * 16 + 16),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "kind", "flags", "standard"), CASES, ids=str)
def test_kind_and_weights(layer: nn.Module, kind: str, flags: tuple[str, ...], standard: int) -> None:
    window = window_of(layer)
    assert window is not None
    assert (window.kind, window.flags) == (kind, flags)
    assert window.parameters == sum(p.numel() for p in layer.parameters())
    assert window.standard_parameters == standard
    assert {c[1] for c in CASES} == set(KINDS)


def test_same_padding_is_shown_in_pixels() -> None:
    window = window_of(nn.Conv2d(1, 1, (4, 3), padding="same", dilation=(1, 2)))
    assert window is not None
    assert window.same
    assert window.padding == ((1, 2), (2, 2))


def test_layer_that_pads_by_itself_is_flagged() -> None:
    class Padded(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))

    anatomy = analyse(nn.Sequential(Padded(3, 4, 3, 2), nn.Conv2d(4, 4, 3)), (3, 16, 16), **COUNTS_ONLY)
    first, second = anatomy.layers
    assert (first.expected, first.output, first.differs) == ((7, 7), (4, 8, 8), True)
    assert (second.expected, second.output, second.differs) == ((6, 6), (4, 6, 6), False)
