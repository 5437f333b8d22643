"""Image files -> uint8 pixels of one size."""

import os
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

Put = Callable[[int, np.ndarray], object]
TOGETHER = 16  # images that a thread decodes and hands over at once
_AHEAD = 8  # times as many, begun before they are asked for; bounds the memory
_THREADS = min(32, (os.cpu_count() or 1) + 1)  # one for those that wait for a disk; more would wait for each other


def decode(path: Path, size: tuple[int, int]) -> np.ndarray:
    """One image as uint8 RGB [h, w, 3], resized bilinearly to ``size`` = (H, W) or left as it is for ``enlarge``.

    Left are those whose sides have the right length or half of it, as Market-1501's have for 256x128. Raises OSError if
    the file is damaged.
    """
    try:
        with Image.open(path) as image:
            pixels = image.convert("RGB")
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:  # what PIL raises on some damaged files
        raise OSError(str(error)) from error
    height, width = size
    if height not in (pixels.height, 2 * pixels.height) or width not in (pixels.width, 2 * pixels.width):
        pixels = pixels.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(pixels)


def enlarge(images: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """What ``decode`` gave of some files, as uint8 [n, H, W, 3]: the pixels that PIL would resize it to.

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
    images, readable = [np.zeros((*size, 3), dtype=np.uint8)] * len(paths), [True] * len(paths)
    for i, path in enumerate(paths):
        try:
            images[i] = decode(path, size)
        except OSError:
            readable[i] = False
    put(first, enlarge(images, size))
    return readable
