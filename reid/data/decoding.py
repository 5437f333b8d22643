"""Image files -> uint8 pixels of one size."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reid.data.progress import counted
from reid.errors import UserError

Put = Callable[[int, np.ndarray], object]
TOGETHER = 16  # images that a thread decodes and hands over at once
_AHEAD = 8  # times as many, begun before they are asked for; bounds the memory


def decode(path: Path, size: tuple[int, int]) -> np.ndarray:
    """One image as uint8 RGB [H, W, 3], resized bilinearly to ``size`` = (H, W). Raises OSError if it is damaged."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR))
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:  # what PIL raises on some damaged files
        raise OSError(str(error)) from error


def decode_all(paths: Sequence[Path], size: tuple[int, int], put: Put) -> Iterator[bool]:
    """Whether each file can be read, in order and with progress, once ``put`` has got its pixels.

    ``put(first, pixels)`` is called from several threads, with the number of the first of some files and their uint8
    pixels [n, H, W, 3] as ``decode`` gives them, black where a file cannot be read.
    """
    return counted(_in_order(paths, size, put), len(paths), "decoding")


@dataclass(frozen=True)
class Decoded:
    """A loader (see ``Images``) that decodes files whenever they are asked for."""

    paths: tuple[Path, ...]
    size: tuple[int, int]

    def __call__(self, index: np.ndarray) -> Tensor:
        with ThreadPoolExecutor() as pool:
            return torch.from_numpy(np.stack(list(pool.map(self._one, index)))).permute(0, 3, 1, 2)

    def _one(self, i: int) -> np.ndarray:
        try:
            return decode(self.paths[i], self.size)
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
    with ThreadPoolExecutor() as pool:  # PIL lets other threads run while it decodes
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
    pixels = np.zeros((len(paths), *size, 3), dtype=np.uint8)
    readable = [True] * len(paths)
    for i, path in enumerate(paths):
        try:
            pixels[i] = decode(path, size)
        except OSError:
            readable[i] = False
    put(first, pixels)
    return readable
