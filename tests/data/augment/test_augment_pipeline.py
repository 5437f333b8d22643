import numpy as np
import pytest
import torch
import torch.nn.functional as F
from data.augment.drawn import (
    FUNCTIONS,
    MEAN_COLOUR,
    WITH_NEIGHBOURS,
    close_to_binomial,
    differs,
    noise,
    seeded,
)
from torch import Tensor

from reid.data.augment import Augment
from reid.errors import UserError

CERTAIN = [name for name in WITH_NEIGHBOURS if name not in ("autoaugment", "shift")]  # some policies change nothing


@pytest.mark.parametrize("name", WITH_NEIGHBOURS)
def test_probability_zero_leaves_images_alone(name: str) -> None:
    images = noise(20, 16, 8)
    assert torch.equal(WITH_NEIGHBOURS[name](images, 0.0, seeded()), images)


@pytest.mark.parametrize("name", WITH_NEIGHBOURS)
def test_seed_decides_everything(name: str) -> None:
    images = noise(20, 16, 8)
    before = images.clone()
    first = WITH_NEIGHBOURS[name](images, 0.5, seeded(1))
    assert torch.equal(first, WITH_NEIGHBOURS[name](images, 0.5, seeded(1)))
    assert not torch.equal(first, WITH_NEIGHBOURS[name](images, 0.5, seeded(2)))
    assert torch.equal(images, before)  # the batch itself is not written to


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_image_does_not_depend_on_the_others_of_its_batch(name: str) -> None:
    images = noise(6, 16, 8)
    others = 255 - images
    others[3] = images[3]
    for seed in range(10):
        assert torch.equal(FUNCTIONS[name](images, 0.7, seeded(seed))[3], FUNCTIONS[name](others, 0.7, seeded(seed))[3])


@pytest.mark.parametrize("name", WITH_NEIGHBOURS)
def test_bytes_stay_bytes_whatever_the_layout_in_memory(name: str) -> None:
    images = noise(12, 16, 8)
    out = WITH_NEIGHBOURS[name](images, 0.7, seeded())
    assert out.dtype == torch.uint8
    assert out.shape == images.shape
    assert torch.equal(WITH_NEIGHBOURS[name](images.contiguous(memory_format=torch.channels_last), 0.7, seeded()), out)


@pytest.mark.parametrize(("height", "reach"), [(256, 10), (128, 5), (64, 2), (8, 0)])
def test_padding_scales_with_the_height_of_the_image(height: int, reach: int) -> None:
    # 10 * 64 / 256 = 2.5 pixels go to the even 2
    images = torch.full((300, 3, height, 24), 255, dtype=torch.uint8)
    out = Augment(flip=0, shift=1, padding=10, zoom=None, erase=0)(images, seeded())
    covered = (out == torch.from_numpy(MEAN_COLOUR)[:, None, None]).all(1)  # [B, H, W]
    assert covered.all(2).sum(1).max() == reach
    assert covered.all(1).sum(1).max() == reach


@pytest.mark.parametrize(("padding", "zoom"), [(10, 1.25), (0, None)])
def test_a_shift_is_by_padding_or_by_zoom(padding: int, zoom: float | None) -> None:
    with pytest.raises(UserError, match="needs augment.padding above 0 or augment.zoom, and not both"):
        Augment(flip=0, shift=1, padding=padding, zoom=zoom, erase=0)


def test_an_erased_rectangle_stays_whole_when_the_image_is_also_moved() -> None:
    images = torch.full((200, 3, 64, 32), 255, dtype=torch.uint8)
    out = Augment(flip=1, shift=1, padding=10, zoom=None, erase=1)(images, seeded())
    filled = (out != 255).all(1)
    assert filled.flatten(1).any(1).all()
    assert (filled.float().mean((1, 2)) >= 0.015).all()  # 2 % less rounding, never cropped away


@pytest.mark.parametrize("name", CERTAIN)
def test_probability_one_changes_every_image(name: str) -> None:
    images = noise(60, 16, 8)
    assert differs(WITH_NEIGHBOURS[name](images, 1.0, seeded()), images).all()


@pytest.mark.parametrize("name", [n for n in CERTAIN if not n.startswith("all") and n != "zoom"])
def test_each_image_is_changed_with_the_probability_and_neighbours_are_independent(name: str) -> None:
    images = noise(2000, 16, 8)
    changed = differs(WITH_NEIGHBOURS[name](images, 0.3, seeded()), images)
    assert close_to_binomial(int(changed.sum()), 2000, 0.3)
    assert close_to_binomial(int((changed[::2] & changed[1::2]).sum()), 1000, 0.09)


@pytest.mark.parametrize("name", [n for n in WITH_NEIGHBOURS if n not in ("flip", "grayscale")])
def test_equal_images_of_a_batch_get_draws_of_their_own(name: str) -> None:
    images = noise(1, 16, 8).expand(40, -1, -1, -1)
    out = WITH_NEIGHBOURS[name](images, 1.0, seeded())
    if name == "patch":  # of equal images it shows at one place what is at another
        assert differs(out, images).all()
    assert len(out.flatten(1).unique(dim=0)) > (4 if name == "zoom" else 8)  # crops of 20x10 to 16x8 number 15


def slow_standard(images: Tensor, generator: torch.Generator, shift: float, zoom: float | None) -> np.ndarray:
    """Flip, shift and erase of probability a half, image by image, from the numbers of the generator in their order."""
    count, _, height, width = images.shape
    rand = lambda *shape: torch.rand(*shape, generator=generator).numpy()  # noqa: E731
    below = lambda high: torch.randint(high, (count,), generator=generator).tolist()  # noqa: E731
    flipped = rand(count) < 0.5
    if zoom is None:
        padding = round(10 * height / 256)
        moved, tops, lefts = rand(count) < shift, below(2 * padding + 1), below(2 * padding + 1)
    else:
        large = round(height * zoom), round(width * zoom)
        tops, lefts = below(large[0] - height + 1), below(large[1] - width + 1)
        moved = rand(count) < shift
    share, ratio, place, hit = rand(10, count), rand(10, count), rand(2, count), rand(count) < 0.5
    out = images.numpy().copy()
    for i, image in enumerate(images.numpy()):
        shown = image[:, :, ::-1] if flipped[i] else image
        if moved[i] and zoom is None:
            padded = np.stack([np.pad(c, padding, constant_values=m) for c, m in zip(shown, MEAN_COLOUR, strict=True)])
            shown = padded[:, tops[i] : tops[i] + height, lefts[i] : lefts[i] + width]
        elif moved[i]:
            one = torch.from_numpy(shown.copy())[None]
            bigger = F.interpolate(one, size=large, mode="bilinear", align_corners=False)[0].numpy()
            shown = bigger[:, tops[i] : tops[i] + height, lefts[i] : lefts[i] + width]
        out[i] = shown
        for s, r in zip(share[:, i], ratio[:, i], strict=True):
            area = np.float32(0.02 + (0.4 - 0.02) * s) * height * width
            aspect = np.float32(0.3 + (1 / 0.3 - 0.3) * r)
            h, w = int(np.sqrt(area * aspect).round()), int(np.sqrt(area / aspect).round())
            if h < height and w < width:
                top, left = int(place[0, i] * (height - h + 1)), int(place[1, i] * (width - w + 1))
                if hit[i]:
                    out[i, :, top : top + h, left : left + w] = MEAN_COLOUR[:, None, None]
                break
    return out


@pytest.mark.parametrize(("shift", "zoom"), [(1.0, None), (0.5, None), (0.5, 1.125)])
def test_the_usual_sets_equal_a_loop_over_images_pixel_by_pixel(shift: float, zoom: float | None) -> None:
    images = noise(200, 64, 32)
    augment = Augment(shift=shift, zoom=zoom, padding=0 if zoom else 10)
    expected = slow_standard(images, seeded(7), shift, zoom)
    np.testing.assert_array_equal(augment(images, seeded(7)).numpy(), expected)


def test_an_operation_that_is_off_draws_nothing() -> None:
    images, one, other = noise(30, 16, 8), seeded(), seeded()
    Augment(flip=0.5, shift=0, zoom=None, erase=0, jitter=0, patch=0, blur=0)(images, one)
    torch.rand(30, generator=other)
    assert torch.equal(one.get_state(), other.get_state())


def test_operations_are_listed_in_their_order() -> None:
    names = [
        "autoaugment",
        "flip",
        "shift",
        "jitter",
        "grayscale",
        "blur",
        "local_grayscale",
        "patch",
        "cutout",
        "erase",
    ]
    augment = Augment(**dict.fromkeys(reversed(names), 0.25))  # type: ignore[arg-type]
    assert [o.name for o in augment.operations] == names
    assert {o.probability for o in augment.operations} == {0.25}
    assert [o.name for o in Augment(flip=0, shift=0, erase=0, blur=1).operations] == ["blur"]


def test_what_is_hidden_has_no_colours_of_its_own() -> None:
    """Erasing comes after the colours: its rectangle has the mean colour to the byte."""
    images = torch.full((40, 3, 64, 32), 255, dtype=torch.uint8)
    out = Augment(flip=0, shift=0, zoom=None, jitter=1, brightness=0.5, erase=1)(images, seeded())
    hidden = (out == torch.from_numpy(MEAN_COLOUR)[:, None, None]).all(1).flatten(1)
    assert (hidden.float().mean(1) >= 0.015).all()


def test_one_operation_at_a_probability_of_choice() -> None:
    images = noise(20, 16, 8)
    (flip,) = Augment(flip=0.1, shift=0, erase=0).operations
    assert torch.equal(flip(images, seeded(), 1.0), images.flip(-1))


def test_pixels_are_exact_under_bf16_autocast() -> None:
    images = noise(20, 32, 16)
    augment = Augment(jitter=1, blur=1, autoaugment=0.5, scales=[(40, 20)])
    with torch.autocast("cpu", torch.bfloat16):
        found = augment(images, seeded())
    assert torch.equal(found, augment(images, seeded()))


@pytest.mark.parametrize("arguments", [{"scales": [(24, 12)]}, {"scales": [[40, 20]], "erase": 0.0}])
def test_scales_change_the_size_before_anything_else(arguments: dict) -> None:
    images = torch.full((20, 3, 32, 16), 255, dtype=torch.uint8)
    out = Augment(**arguments, shift=0, zoom=None)(images, seeded())
    assert out.shape[2:] == tuple(arguments["scales"][0])
    assert set(out.unique().tolist()) <= {255, *MEAN_COLOUR.tolist()}  # no edge of a rectangle is smoothed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"grayscale": 1.5}, "augment.grayscale=1.5 is a probability: choose 0 to 1"),
        ({"patch": -0.1}, "augment.patch=-0.1 is a probability"),
        ({"brightness": -1}, "augment.brightness=-1 must be at least 0"),
        ({"hue": 0.6}, "augment.hue=0.6 must be at most 0.5"),
        ({"jitter": 0.5, "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}, "augment.jitter=0.5 needs"),
        ({"cutout_size": 0}, "augment.cutout_size=0 must be at least 1"),
        ({"erase_with": "noise"}, "augment.erase_with=noise is unknown: known are mean, pixel, const"),
        ({"erase_with": "pixels"}, "did you mean pixel"),
        ({"scales": [[256]]}, r"augment.scales=\[\[256\]\] must be a list of sizes, as \[\[256,128\]"),
        ({"scales": [256, 128]}, "must be a list of sizes"),
        ({"scales": 256}, "must be a list of sizes"),
        ({"scales": [[256, 0]]}, "must be a list of sizes"),
    ],
)
def test_bad_options_are_told(arguments: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Augment(**arguments)
