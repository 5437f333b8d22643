"""A small healthy set in the Market-1501 layout, and ways to damage it: each with the one finding that it makes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
_ROTATED = 6  # the EXIF orientation of a camera held upright


def picture(seed: int, width: int = 32, height: int = 64) -> Image.Image:
    """Random fields of colour with some noise: no two alike."""
    rng = np.random.default_rng(seed)
    fields = Image.fromarray(rng.integers(0, 256, (8, 4, 3), dtype=np.uint8)).resize((width, height))
    noise = rng.integers(-6, 7, (height, width, 3))
    return Image.fromarray((np.asarray(fields).astype(int) + noise).clip(0, 255).astype(np.uint8))


def healthy(root: Path) -> Path:
    """Identities 1-4 to train on and 5-8 to test on, in two cameras; two pictures in each, one of them a query."""
    for folder in (TRAIN, QUERY, GALLERY):
        (root / folder).mkdir(parents=True)
    for pid in range(1, 9):
        for camera in (1, 2):
            for shot in (1, 2):
                folder = TRAIN if pid < 5 else QUERY if shot == 1 else GALLERY
                save(root / folder / name(pid, camera, shot), picture(100 * pid + 10 * camera + shot))
    for shot, pid in enumerate((-1, -1, 0, 0)):
        save(root / GALLERY / name(pid, 1, shot), picture(1000 + shot))
    return root


def name(pid: int, camera: int, shot: int) -> str:
    return f"{pid if pid < 0 else f'{pid:04d}'}_c{camera}s1_{shot:06d}_01.jpg"


def save(file: Path, image: Image.Image, **options: object) -> None:
    image.save(file, quality=92, **options)


@dataclass(frozen=True)
class Damage:
    """What to do to one picture, and the finding: its severity, name and files beside that picture."""

    do: Callable[[Path], object]
    severity: str
    finding: str
    file: str = f"{TRAIN}/{name(1, 1, 1)}"
    beside: tuple[str, ...] = ()
    renamed: str | None = None  # the ending of the picture's new name


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-400])


def _as_png(change: Callable[[Image.Image], Image.Image]) -> Callable[[Path], None]:
    def do(file: Path) -> None:
        change(Image.open(file)).save(file.with_suffix(".png"))
        file.unlink()

    return do


def _sixteen_bits(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _see_through(image: Image.Image) -> Image.Image:
    image.putalpha(Image.new("L", image.size, 255))
    image.putpixel((0, 0), (0, 0, 0, 254))
    return image


def _as_png_under_its_name(file: Path) -> None:
    Image.open(file).convert("RGB").save(file, format="PNG")


def _rotation_flag(file: Path) -> None:
    image = Image.open(file)
    exif = image.getexif()
    exif[0x0112] = _ROTATED
    save(file, image.convert("RGB"), exif=exif)


def _copied(source: str) -> Callable[[Path], object]:
    return lambda file: file.write_bytes((file.parents[1] / source).read_bytes())


def _encoded_again(source: str) -> Callable[[Path], object]:
    return lambda file: Image.open(file.parents[1] / source).save(file, quality=60)


_OTHER_PERSON = f"{TRAIN}/{name(2, 1, 1)}"
_OTHER_CAMERA = f"{TRAIN}/{name(1, 2, 1)}"
_OTHER_SHOT = f"{TRAIN}/{name(1, 1, 2)}"
_TESTED = f"{GALLERY}/{name(5, 1, 2)}"

DAMAGE = {
    "truncated": Damage(_truncate, "error", "unreadable images"),
    "text": Damage(lambda f: f.write_text("not found"), "error", "unreadable images"),
    "empty": Damage(lambda f: f.write_bytes(b""), "error", "unreadable images"),
    "png": Damage(_as_png_under_its_name, "info", "images named for another format"),
    "cmyk": Damage(lambda f: save(f, Image.open(f).convert("CMYK")), "warning", "CMYK images"),
    "16 bits": Damage(_as_png(_sixteen_bits), "warning", "images with more than 8 bits", renamed=".png"),
    "alpha": Damage(_as_png(_see_through), "warning", "transparent images", renamed=".png"),
    "palette": Damage(_as_png(lambda i: i.convert("P")), "info", "palette images", renamed=".png"),
    "grey": Damage(lambda f: save(f, Image.open(f).convert("L")), "info", "grey images"),
    "rotation": Damage(_rotation_flag, "warning", "images with a rotation flag"),
    "blank": Damage(lambda f: save(f, Image.new("RGB", (32, 64), "grey")), "warning", "blank images"),
    "size": Damage(lambda f: save(f, picture(0, 120, 240)), "warning", "images of an odd size"),
    "shape": Damage(lambda f: save(f, picture(0, 64, 32)), "warning", "images of an odd shape"),
    "leak": Damage(_copied(_TESTED), "warning", "images shared by train and test", beside=(_TESTED,)),
    "near leak": Damage(
        _encoded_again(_TESTED), "warning", "pairs of near copies across train and test", beside=(_TESTED,)
    ),
    "two people": Damage(_copied(_OTHER_PERSON), "warning", "images under two identities", beside=(_OTHER_PERSON,)),
    "near people": Damage(
        _encoded_again(_OTHER_PERSON),
        "warning",
        "pairs of near copies under two identities",
        beside=(_OTHER_PERSON,),
    ),
    "two cameras": Damage(_copied(_OTHER_CAMERA), "warning", "images under two cameras", beside=(_OTHER_CAMERA,)),
    "copy": Damage(
        _copied(_OTHER_SHOT), "info", "copies of an image of the same identity and camera", beside=(_OTHER_SHOT,)
    ),
}
