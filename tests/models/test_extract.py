from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from reid.data.records import Record
from reid.data.store import Images
from reid.errors import UserError
from reid.models.extract import embed_files, extract


def as_images(pixels: torch.Tensor) -> Images:
    records = tuple(Record(Path(f"{i}"), i, 0) for i in range(len(pixels)))
    return Images(records, (), lambda index: pixels[index])


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 100])
def test_features_are_in_order_whatever_the_batch_size(batch_size: int) -> None:
    net, pixels = tiny.embedder(), tiny.images(7)
    out = extract(net, as_images(pixels), batch_size=batch_size)
    assert out.dtype == np.float32
    assert out.shape == (7, 6)
    with torch.no_grad():
        one_by_one = np.concatenate([net.eval()(image[None]).numpy() for image in pixels])
    np.testing.assert_allclose(out, one_by_one, atol=1e-6)


def test_network_is_put_in_evaluation_mode_and_keeps_its_statistics() -> None:
    net, images = tiny.embedder(dropout=0.5).train(), as_images(tiny.images(7))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    out = extract(net, images)
    assert not net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    np.testing.assert_array_equal(out, extract(net, images))


def test_bfloat16_changes_little_and_gives_float32_of_length_one() -> None:
    net, images = tiny.embedder(), as_images(tiny.images(7))
    exact, out = extract(net, images), extract(net, images, bf16=True)
    assert out.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(out, exact, atol=0.05)
    assert not np.array_equal(out, exact)


def test_no_image_gives_no_row() -> None:
    assert extract(tiny.embedder(), as_images(tiny.images(0))).shape == (0, 6)
    assert embed_files(tiny.embedder(), []).shape == (0, 6)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Pictures of three sizes and modes."""
    rng, found = np.random.default_rng(0), []
    for i, (mode, suffix) in enumerate([("RGB", "jpg"), ("L", "png"), ("RGBA", "png"), ("RGB", "png")]):
        pixels = rng.integers(0, 256, size=(20 + 9 * i, 30 - 5 * i, 3), dtype=np.uint8)
        found.append(tmp_path / f"{i}.{suffix}")
        Image.fromarray(pixels).convert(mode).save(found[-1])
    return found


@torch.no_grad()
@pytest.mark.parametrize("kind", [Path, str])
def test_files_embed_as_their_pixels_do(files: list[Path], kind: type) -> None:
    net = tiny.embedder().eval()
    height, width = tiny.SIZE
    expected = []
    for path in files:
        picture = Image.open(path).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        expected.append(net(torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None])[0].numpy())
    out = embed_files(net, [kind(f) for f in files], batch_size=3)
    np.testing.assert_allclose(out, np.stack(expected), atol=1e-6)
    np.testing.assert_allclose(embed_files(net, files[::-1]), out[::-1], atol=1e-6)


def test_file_that_is_no_picture_is_named(files: list[Path]) -> None:
    files[2].write_text("no picture")
    with pytest.raises(UserError, match="not a readable image") as caught:
        embed_files(tiny.embedder(), files)
    assert str(files[2]) in str(caught.value)


def test_both_views_are_added_before_the_length_is_taken() -> None:
    net, pixels = tiny.embedder().eval(), tiny.images(5)
    with torch.no_grad():
        image, mirror = (net.bnneck(net.pooled(p)).numpy() for p in (pixels, pixels.flip(-1)))
    for view, expected in {"image": image, "mirror": mirror, "both": image + mirror}.items():
        raw = extract(net, as_images(pixels), view=view, normalise=False, batch_size=2)
        np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-5)
        unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(extract(net, as_images(pixels), view=view, batch_size=2), unit, rtol=1e-4, atol=1e-5)
