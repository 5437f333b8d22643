import pytest
import torch
from torchvision.transforms.v2.functional import normalize, to_dtype

from reid.data.pixels import IMAGENET_MEAN, IMAGENET_STD, normalise

MEAN, STD = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
LAYOUTS = [torch.contiguous_format, torch.channels_last]


def noise(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 10, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [0, 1, 7])
def test_bytes_and_floats_are_normalised_as_torchvision_does(count: int, layout: torch.memory_format) -> None:
    images = noise(count).contiguous(memory_format=layout)
    floats = to_dtype(images, torch.float32, scale=True)
    expected = normalize(floats, list(IMAGENET_MEAN), list(IMAGENET_STD))
    for given in (images, floats):
        out = normalise(given, MEAN, STD)
        assert out.dtype == torch.float32
        assert out.is_contiguous(memory_format=layout)
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-6)
    assert torch.equal(
        normalise(images, MEAN, STD), (images / 255 - MEAN) / STD
    )  # to the last bit, as trained nets know


def test_what_is_given_stays_as_it_is_and_has_a_gradient() -> None:
    floats = (noise(2) / 255).requires_grad_()
    before = floats.detach().clone()
    normalise(floats, MEAN, STD).sum().backward()
    assert torch.equal(floats.detach(), before)
    torch.testing.assert_close(floats.grad, (1 / STD).expand_as(floats))
