"""Image files -> uint8 pixels of one size."""

import contextlib
import io
import math
import os
import struct
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from reid.data.progress import counted
from reid.errors import UserError

try:
    from torchvision.io import decode_jpeg
except ImportError:  # deprecated in 0.29; its heir, torchcodec's, turns pictures by their EXIF, which PIL does not
    decode_jpeg = None

# Here and once: catch_warnings, at each call, would change the filters of other threads.
warnings.filterwarnings("ignore", "The image decoding and encoding capabilities of TorchVision", DeprecationWarning)

Put = Callable[[int, np.ndarray], object]
TOGETHER = 16  # images that a thread decodes and hands over at once
_AHEAD = 8  # times as many, begun before they are asked for; bounds the memory
_THREADS = min(32, (os.cpu_count() or 1) + 1)  # one for those that wait for a disk; more would wait for each other
_FRAMES = (0xC0, 0xC1, 0xC2)  # markers of a JPEG: baseline, extended, progressive
_BEFORE_FRAMES = frozenset((0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)))  # those of parts that tell their length
_BLACK = np.zeros((1, 1, 3), dtype=np.uint8)  # for what cannot be read


def decode(path: Path, size: tuple[int, int]) -> np.ndarray:
    """One image as uint8 RGB [h, w, 3]: PIL's pixels, resized bilinearly to ``size`` = (H, W) or left for ``enlarge``.

    Left is what ``enlarge`` would resize to the same pixels: sides of the right length or of half of it, as those of
    Market-1501 are for 256x128. Raises OSError if the file is damaged. What libjpeg reads in spite of damage, as PIL
    does too, it tells of in the error stream of the process ("Corrupt JPEG data: ..."), without the file's name;
    torchvision has no switch for that.
    """
    pixels = _pixels(path)
    if all(new in (old, 2 * old) for old, new in zip(pixels.shape[:2], size, strict=True)):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def enlarge(images: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """What ``decode`` gave of some files at ``size``: uint8 [n, H, W, 3].

    Torch takes a fifth of PIL's time for it, and its coarser weights are exact where a side is doubled.
    """
    shapes = {image.shape[:2] for image in images}
    if shapes == {size}:
        return np.stack(images)
    if len(shapes) > 1:
        return np.concatenate([enlarge([image], size) for image in images])
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return F.interpolate(pixels, size, mode="bilinear", antialias=True).permute(0, 2, 3, 1).numpy()


def decode_all(paths: Sequence[Path], size: tuple[int, int], put: Put) -> Iterator[bool]:
    """Whether each file can be read, in order and with progress, once ``put`` has got its pixels.

    ``put(first, pixels)`` is called from several threads, with the number of the first of some files and their uint8
    pixels [n, H, W, 3], black where a file cannot be read.
    """
    return counted(_in_order(paths, size, put), len(paths), "decoding")


@dataclass(frozen=True)
class Decoded:
    """A loader (see ``Images``) that decodes files whenever they are asked for."""

    paths: tuple[Path, ...]
    size: tuple[int, int]

    def __call__(self, index: np.ndarray) -> Tensor:
        with ThreadPoolExecutor(_THREADS) as pool:
            return torch.from_numpy(np.concatenate(list(pool.map(self._one, index)))).permute(0, 3, 1, 2)

    def _one(self, i: int) -> np.ndarray:
        try:
            return enlarge([decode(self.paths[i], self.size)], self.size)
        except OSError as error:
            raise unreadable(self.paths[i]) from error


def _pixels(path: Path) -> np.ndarray:
    """A file's pixels as PIL gives them, uint8 RGB [h, w, 3].

    Ordinary JPEGs are decoded by torchvision: the same library's pixels with less around it.
    """
    content = path.read_bytes()
    if decode_jpeg and _ordinary_jpeg(content):
        with contextlib.suppress(RuntimeError, DeprecationWarning):  # PIL reads it after all, or says what is wrong
            pixels = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8))
            return pixels.permute(1, 2, 0).numpy()
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:  # what PIL raises on some damaged files
        raise OSError(str(error)) from error


def _ordinary_jpeg(content: bytes) -> bool:
    """Whether a file begins as a JPEG of three colours and of a size that PIL finds harmless.

    PIL could tell, but its look at the header takes as long as torchvision saves.
    """
    place, limit = 2, Image.MAX_IMAGE_PIXELS or math.inf
    if not content.startswith(b"\xff\xd8"):
        return False
    while place + 10 <= len(content):
        begin, marker, length, bits, height, width, colours = struct.unpack_from(">BBHBHHB", content, place)
        if begin == 0xFF and marker in _FRAMES:
            return bits == 8 and colours == 3 and height * width <= limit
        if begin != 0xFF or marker not in _BEFORE_FRAMES:
            return False
        place += 2 + length
    return False


def unreadable(path: Path, count: int = 1) -> UserError:
    """The error for ``count`` files that cannot be read, the first of which is ``path``."""
    more = f" and {count - 1} more" if count > 1 else ""
    return UserError(
        f"{path}{more}: not a readable image (truncated, or no image): "
        "mend or remove it, or set data.skip_unreadable=true"
    )


def _in_order(paths: Sequence[Path], size: tuple[int, int], put: Put) -> Iterator[bool]:
    waiting: deque[Future[list[bool]]] = deque()
    with ThreadPoolExecutor(_THREADS) as pool:  # other threads run while one decodes or resizes
        try:
            for start in range(0, len(paths), TOGETHER):
                waiting.append(pool.submit(_decode_some, paths[start : start + TOGETHER], size, start, put))
                if len(waiting) > _AHEAD:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:  # whoever asked may have had enough
            pool.shutdown(cancel_futures=True)


def _decode_some(paths: Sequence[Path], size: tuple[int, int], first: int, put: Put) -> list[bool]:
    images, readable = [_BLACK] * len(paths), [True] * len(paths)
    for i, path in enumerate(paths):
        try:
            images[i] = decode(path, size)
        except OSError:
            readable[i] = False
    put(first, enlarge(images, size))
    return readable
