"""Images decoded and resized once, kept as one memory-mapped uint8 array."""

import hashlib
import json
import logging
import shutil
import uuid
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reid.data.records import Record
from reid.errors import UserError

log = logging.getLogger(__name__)

_VERSION = 1
_CHUNK = 512


@dataclass(frozen=True)
class Images:
    """The pictures of some records, at one size.

    Attributes:
        records: the records whose pictures can be read, in order.
        unreadable: files left out because they could not be.
        load: indices int64 [B] -> uint8 RGB tensor [B, 3, H, W], channels_last in memory.
    """

    records: tuple[Record, ...]
    unreadable: tuple[Path, ...]
    load: Callable[[np.ndarray], Tensor]

    def __len__(self) -> int:
        return len(self.records)


class _Stored:
    """Rows of a stored array; the map is opened anew in each process that the loader is sent to."""

    def __init__(self, file: Path, rows: np.ndarray) -> None:
        self._file, self._rows = file, rows
        self._pixels = np.load(file, mmap_mode="r")

    def __call__(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy(self._pixels[self._rows[index]]).permute(0, 3, 1, 2)

    def __reduce__(self) -> tuple[type, tuple[Path, np.ndarray]]:
        return _Stored, (self._file, self._rows)


@dataclass(frozen=True)
class _Decoded:
    """Files decoded whenever they are asked for."""

    records: tuple[Record, ...]
    size: tuple[int, int]

    def __call__(self, index: np.ndarray) -> Tensor:
        with ThreadPoolExecutor() as pool:
            return torch.from_numpy(np.stack(list(pool.map(self._one, index)))).permute(0, 3, 1, 2)

    def _one(self, i: int) -> np.ndarray:
        try:
            return decode(self.records[i].path, self.size)
        except OSError as error:
            raise _unreadable(self.records[i].path) from error


def decode(path: Path, size: tuple[int, int]) -> np.ndarray:
    """One image as uint8 RGB [H, W, 3], resized bilinearly to ``size`` = (H, W). Raises OSError if it is damaged."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR))
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:  # what PIL raises on some damaged files
        raise OSError(str(error)) from error


def open_images(
    records: Sequence[Record], size: tuple[int, int], *, cache_dir: Path | None, skip_unreadable: bool = False
) -> Images:
    """The pictures of ``records`` at ``size`` = (H, W), from the store in ``cache_dir`` (made on first use).

    The store's name is a digest of the file list with sizes and times and of the image size, so a changed file makes
    a new store. It is built under a temporary name and renamed, and its checksum is compared on opening, so a partial
    or damaged one is built again. Without ``cache_dir`` the files are decoded whenever they are asked for.

    Raises:
        UserError: an image cannot be read (named), unless ``skip_unreadable``.
    """
    if cache_dir is None:
        bad = _check_all(records, size)
        if bad and not skip_unreadable:
            raise _unreadable(records[min(bad)].path, len(bad))
        kept = tuple(r for i, r in enumerate(records) if i not in bad)
        return Images(kept, tuple(records[i].path for i in sorted(bad)), _Decoded(kept, size))
    folder = cache_dir / _key(records, size)
    meta = _verified(folder)
    if meta is None:
        _build(folder, records, size, skip_unreadable)
        meta = json.loads((folder / "store.json").read_text())
    bad = set(meta["unreadable"])
    if bad and not skip_unreadable:
        raise _unreadable(records[min(bad)].path, len(bad))
    kept = tuple(r for i, r in enumerate(records) if i not in bad)
    rows = np.array([i for i in range(len(records)) if i not in bad])
    return Images(kept, tuple(records[i].path for i in sorted(bad)), _Stored(folder / "images.npy", rows))


def _key(records: Sequence[Record], size: tuple[int, int]) -> str:
    digest = hashlib.sha256(f"{_VERSION} {size[0]}x{size[1]}\n".encode())
    for path in (r.path for r in records):
        try:
            stat = path.stat()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error
        digest.update(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return f"{size[0]}x{size[1]}-{digest.hexdigest()[:20]}"


def _verified(folder: Path) -> dict | None:
    """The store's description if it is there and whole, else None."""
    if not folder.exists():
        return None
    try:
        meta = json.loads((folder / "store.json").read_text())
        pixels = np.load(folder / "images.npy", mmap_mode="r")
        if _checksum(pixels) == meta["crc32"]:
            return meta
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        pass
    log.warning("the image store %s is damaged and is built again", folder)
    return None


def _checksum(pixels: np.ndarray) -> int:
    crc = 0
    for start in range(0, len(pixels), _CHUNK):
        crc = zlib.crc32(np.ascontiguousarray(pixels[start : start + _CHUNK]).data, crc)
    return crc


def _build(folder: Path, records: Sequence[Record], size: tuple[int, int], skip_unreadable: bool) -> None:
    partial = folder.with_name(f"{folder.name}.partial-{uuid.uuid4().hex[:12]}")
    try:
        partial.mkdir(parents=True)
        shape = (len(records), *size, 3)
        pixels = np.lib.format.open_memmap(partial / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        bad: list[int] = []

        def fill(i: int) -> int | None:
            try:
                pixels[i] = decode(records[i].path, size)
            except OSError:
                return i
            return None

        with ThreadPoolExecutor() as pool:  # PIL lets other threads run while it decodes
            for start in range(0, len(records), _CHUNK):
                bad += [i for i in pool.map(fill, range(start, min(start + _CHUNK, len(records)))) if i is not None]
                if bad and not skip_unreadable:
                    raise _unreadable(records[bad[0]].path, len(bad))
        pixels.flush()
        meta = {"crc32": _checksum(pixels), "images": len(records), "size": list(size), "unreadable": bad}
        (partial / "store.json").write_text(json.dumps(meta))
        try:
            partial.rename(folder)
        except OSError:  # a damaged store is in the way, or the whole one that another process built first
            if _verified(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
    except OSError as error:
        raise UserError(
            f"cannot write the image store in {folder.parent}: {error.strerror or error}; "
            "choose another image.cache_dir or set image.cache=false"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_all(records: Sequence[Record], size: tuple[int, int]) -> set[int]:
    def damaged(i: int) -> bool:
        try:
            decode(records[i].path, size)
        except OSError:
            return True
        return False

    with ThreadPoolExecutor() as pool:
        return {i for i, bad in enumerate(pool.map(damaged, range(len(records)))) if bad}


def _unreadable(path: Path, count: int = 1) -> UserError:
    more = f" and {count - 1} more" if count > 1 else ""
    return UserError(
        f"{path}{more}: not a readable image (truncated, or no image): "
        "mend or remove it, or set data.skip_unreadable=true"
    )
