"""What a shifted picture changes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from reid.anatomy import analyse
from reid.anatomy.shift import scenes_like_nature


class Columns(nn.Module):
    """The picture itself is the map."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 1


def test_shift_compares_windows_of_one_scene() -> None:
    scenes = torch.randn(3, 2, 8, 24, generator=torch.Generator().manual_seed(3))
    first, second = analyse(Columns(), (2, 8, 16), scenes=scenes, shifts=(1, 8), batches=()).shifts
    for found, pixels in ((first, 1), (second, 8)):
        a, b = scenes[..., :16], scenes[..., pixels : pixels + 16]
        cosines = [float(u.flatten() @ v.flatten() / (u.norm() * v.norm())) for u, v in zip(a, b, strict=True)]
        pooled = zip(a.mean((2, 3)), b.mean((2, 3)), strict=True)
        means = [float(u @ v / (u.norm() * v.norm())) for u, v in pooled]
        assert found.pixels == pixels
        assert found.map == pytest.approx(sum(cosines) / 3, abs=1e-6)
        assert found.embedding == pytest.approx(sum(means) / 3, abs=1e-5)
        assert found.moved == pytest.approx(1)


def test_strides_break_equivariance_between_their_multiples() -> None:
    """Without padding a map moves along exactly by whole strides; between them there is no such unit."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU())
    found = {s.pixels: s for s in analyse(net, (3, 32, 32), shifts=(1, 2, 4, 8, 32), batches=()).shifts}
    assert [found[p].moved is None for p in (1, 2, 4, 8, 32)] == [True, True, False, False, True]
    assert found[4].moved == pytest.approx(1)
    assert found[8].moved == pytest.approx(1)
    assert found[4].map < 0.999


def test_own_embedding() -> None:
    constant: Callable[[Tensor], Tensor] = lambda images: torch.ones(len(images), 3)  # noqa: E731
    shifts = analyse(nn.Conv2d(3, 8, 3, 2, 1), (3, 16, 16), embed=constant, batches=(), shifts=(1, 4)).shifts
    assert [s.embedding for s in shifts] == pytest.approx([1, 1])


def test_scenes_have_the_spectrum_of_nature() -> None:
    scenes = scenes_like_nature(20, (1, 64, 64), 0)
    power = torch.fft.fft2(scenes).abs().square().mean((0, 1))
    octaves = [float(power[0, low : 2 * low].mean() * low**2) for low in (2, 4, 8, 16)]
    assert max(octaves) / min(octaves) < 2  # amplitude ~ 1 / frequency
    torch.testing.assert_close(scenes.flatten(1).std(1), torch.ones(20))


def test_maps_too_small_to_be_squared_are_compared_all_the_same() -> None:
    scenes = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(1))
    cosines = []
    for size in (1.0, 1e-25):
        net = nn.Conv2d(3, 4, 3, bias=False)
        torch.manual_seed(0)
        nn.init.normal_(net.weight, std=1.0)
        net.weight.data *= size
        (shift,) = analyse(net, (3, 8, 8), scenes=scenes, shifts=(1,), batches=()).shifts
        cosines.append((shift.embedding, shift.map))
    assert cosines[0] == pytest.approx(cosines[1], abs=1e-6)
