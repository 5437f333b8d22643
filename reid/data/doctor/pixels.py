"""What the files themselves tell: read once, all of them, in parallel."""

import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from reid.data.progress import counted

_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = 1


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """A file that can be decoded.

    Attributes:
        digest: of its bytes, SHA-256.
        format, mode: as PIL names them.
        size: (width, height) in pixels, as stored.
        orientation: the EXIF tag, 1 to 8; 1 is upright.
        transparent: some pixel is not opaque.
        hash: uint8 [8], the 64 bits of ``dhash``.
        small: uint8 [16, 8, 3], its mean colours in 16 rows and 8 columns.
    """

    digest: bytes
    format: str
    mode: str
    size: tuple[int, int]
    orientation: int
    transparent: bool
    hash: np.ndarray
    small: np.ndarray


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be decoded, and why."""

    why: str


def look_at_all(paths: Sequence[Path], workers: int | None = None) -> dict[Path, Picture | Unreadable]:
    """Every file once, in order, by ``workers`` threads (None: one a processor); with progress."""
    with warnings.catch_warnings(), ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # PIL's remarks on odd files; what matters is told as a finding
        pictures = counted(pool.map(look, paths), len(paths), "reading")  # PIL lets other threads run meanwhile
        return dict(zip(paths, pictures, strict=True))


def look(path: Path) -> Picture | Unreadable:
    """Read and decode one file, all of it."""
    try:
        content = path.read_bytes()
        if not content:
            return Unreadable("the file is empty")
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            colours = image.convert("RGB")
            return Picture(
                digest=hashlib.sha256(content).digest(),
                format=image.format or "",
                mode=image.mode,
                size=image.size,
                orientation=_orientation(image),
                transparent=_transparent(image),
                hash=dhash(colours),
                small=np.asarray(colours.resize((8, 16), Image.Resampling.BOX)),
            )
    except Image.UnidentifiedImageError:
        return Unreadable("no image")
    except Exception as error:  # decoders raise a dozen types
        told = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Unreadable(told.partition(" (")[0])  # without byte counts, so that equal reasons are equal


def dhash(image: Image.Image) -> np.ndarray:
    """The difference hash as uint8 [8]: which of 8 rows of 9 mean grey values rise from one column to the next.

    Hashes of a picture and of its re-encoded or resized copy differ in few of their 64 bits. Krawetz, Kind of Like
    That, 2013.
    """
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX))
    return np.packbits(grey[:, 1:] > grey[:, :-1])


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, _UPRIGHT))
    except Exception:  # EXIF is often damaged where the picture is not
        return _UPRIGHT


def _transparent(image: Image.Image) -> bool:
    return image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255)
