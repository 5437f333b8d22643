"""Images decoded and resized once, kept as one uint8 array: memory-mapped from a disk, or in memory."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from reid.data.decoding import TOGETHER, Decoded, Put, decode_all, unreadable
from reid.data.locks import locked, share
from reid.data.records import Record
from reid.data.room import room_in_memory, room_on_disk
from reid.data.stores import DESCRIPTION, PIXELS, VERSION, lock_of, partial_of, remove_leftovers
from reid.errors import UserError

log = logging.getLogger(__name__)

Cache = Path | Literal["memory"] | None  # the folder of stores on a disk, memory, or decode each time

_CHUNK = 512  # images
_CHECKED: dict[tuple, int] = {}  # checksums of files that this process has read or written, by ``_identity``


@dataclass(frozen=True)
class Images:
    """The pictures of some records, at one size.

    Attributes:
        records: the records whose pictures can be read, in order.
        unreadable: files left out because they could not be.
        load: indices int64 [B] -> uint8 RGB tensor [B, 3, H, W], channels_last in memory. Those of ``open_images`` take
            what numpy picks rows by: negative indices, a mask, any strides; IndexError where there is no such row.
    """

    records: tuple[Record, ...]
    unreadable: tuple[Path, ...]
    load: Callable[[np.ndarray], Tensor]

    def __len__(self) -> int:
        return len(self.records)


def open_images(
    records: Sequence[Record], size: tuple[int, int], *, cache: Cache, skip_unreadable: bool = False
) -> Images:
    """The pictures of ``records`` at ``size`` = (H, W).

    With a folder for ``cache`` they come from a store in it, made on first use. The store's name is a digest of the
    file list with sizes and times and of the image size, so a changed file makes a new store. It is built under a
    temporary name and renamed, by one process while others wait, and its checksum is compared when a process opens it
    first, so a partial or damaged one is built again. With "memory" the pixels are decoded once in this process and
    kept as long as someone has these images; processes forked from it share them. Without ``cache`` the files are
    decoded whenever they are asked for.

    Raises:
        UserError: an image cannot be read (named), unless ``skip_unreadable``; the store needs more room than there is,
            or cannot be written.
    """
    bad: Sequence[int]
    load: Callable[[np.ndarray], Tensor]
    if cache is None:
        bad, load = _each_time(records, size, skip_unreadable)
    elif cache == "memory":
        bad, load = _in_memory(records, size, skip_unreadable)
    else:
        bad, load = _on_disk(cache / _key(records, size), records, size, skip_unreadable)
    if bad and not skip_unreadable:
        raise unreadable(records[bad[0]].path, len(bad))
    left_out = set(bad)
    rows = np.array([i for i in range(len(records)) if i not in left_out], dtype=np.int64)
    kept = tuple(records[i] for i in rows)
    return Images(kept, tuple(records[i].path for i in bad), _Rows(load, rows))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Some or all of what another loader loads, which gets a plain int64 array whatever the index is."""

    load: Callable[[np.ndarray], Tensor]
    rows: np.ndarray

    def __call__(self, index: np.ndarray) -> Tensor:
        return self.load(self.rows[index])


class _Stored:
    """Rows of a stored array; the map is opened anew in each process that the loader is sent to."""

    def __init__(self, file: Path) -> None:
        self._file, self._pixels = file, _mapped(file)
        with warnings.catch_warnings(action="ignore"):  # nobody gets this tensor, which must not be written to
            self._rows = torch.from_numpy(self._pixels)

    def checksum(self) -> int:
        """Of all pixels, which are read for it once in a process."""
        which = _identity(self._file)
        if which not in _CHECKED:
            starts = range(0, len(self._pixels), TOGETHER)
            _CHECKED[which] = _of_all([zlib.crc32(self._pixels[start : start + TOGETHER].data) for start in starts])
        return _CHECKED[which]

    def __call__(self, index: np.ndarray) -> Tensor:
        return _picked(self._rows, index)

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return _Stored, (self._file,)


@dataclass(frozen=True, eq=False)
class _Held:
    """Rows of an array in memory [N, H, W, 3]: a tensor, which torch's worker processes share however they start."""

    pixels: Tensor
    unreadable: Sequence[int]

    def __call__(self, index: np.ndarray) -> Tensor:
        return _picked(self.pixels, index)


_HELD: WeakValueDictionary[str, _Held] = WeakValueDictionary()  # by key, as long as someone has them


def _each_time(records: Sequence[Record], size: tuple[int, int], skip: bool) -> tuple[Sequence[int], Decoded]:
    bad = _decode_each(records, size, skip, lambda first, pixels: None)
    return bad, Decoded(tuple(r.path for r in records), size)


def _in_memory(records: Sequence[Record], size: tuple[int, int], skip: bool) -> tuple[Sequence[int], _Held]:
    key = _key(records, size)
    held = _HELD.get(key)
    if held is None:
        room_in_memory(len(records), _bytes(records, size))
        pixels = np.empty((len(records), *size, 3), dtype=np.uint8)

        def put(first: int, some: np.ndarray) -> None:
            pixels[first : first + len(some)] = some

        bad = _decode_each(records, size, skip, put)
        held = _HELD[key] = _Held(torch.from_numpy(pixels), bad)
    return held.unreadable, held


def _on_disk(
    folder: Path, records: Sequence[Record], size: tuple[int, int], skip: bool
) -> tuple[Sequence[int], _Stored]:
    found = _checked(folder) or _built(folder, records, size, skip)
    with contextlib.suppress(OSError):  # on a disk that is read only
        os.utime(folder / DESCRIPTION)  # which tells when the store was used last
    return found


def _checked(folder: Path) -> tuple[Sequence[int], _Stored] | None:
    """A store and the images that it lacks; None if it is not there or not whole."""
    try:
        stored = _Stored(folder / PIXELS)  # from now on it is in use and not removed
        told = json.loads((folder / DESCRIPTION).read_text())
        if stored.checksum() == told["crc32"]:
            return told["unreadable"], stored
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        pass
    return None


def _built(folder: Path, records: Sequence[Record], size: tuple[int, int], skip: bool) -> tuple[Sequence[int], _Stored]:
    """Build a store, or wait for who does."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(lock_of(folder), f"waiting for another run that builds the image store {folder}"):
            found = _checked(folder)
            if found is None:
                if folder.exists():
                    log.warning("the image store %s is damaged and is built again", folder)
                remove_leftovers(folder.parent, held=folder.name)
                room_on_disk(folder.parent, len(records), _bytes(records, size))
                _build(folder, records, size, skip)
                found = _checked(folder)
            if found is None:
                raise OSError("it does not read back as it was written")
            return found
    except OSError as error:
        raise _not_written(folder, error) from error


def _build(folder: Path, records: Sequence[Record], size: tuple[int, int], skip: bool) -> None:
    partial = partial_of(folder)
    partial.mkdir()
    try:
        with (partial / PIXELS).open("wb") as file:  # a map would end in SIGBUS where the disk fills up
            bad, crc = _write(file, records, size, skip)
        told = {"version": VERSION, "crc32": crc, "images": len(records), "size": list(size), "unreadable": bad}
        (partial / DESCRIPTION).write_text(json.dumps(told))
        try:
            partial.rename(folder)
        except OSError:  # a damaged store is in the way, or a whole one where the file system has no locks
            if _checked(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
        else:
            _CHECKED[_identity(folder / PIXELS)] = crc  # to read it back now would show what the system keeps in memory
    except OSError as error:
        raise _not_written(folder, error, "what was written of it is removed; ") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(file: BinaryIO, records: Sequence[Record], size: tuple[int, int], skip: bool) -> tuple[list[int], int]:
    """Write the array [N, H, W, 3], black where an image cannot be read: which ones these are, and the checksum."""
    head = {"descr": "|u1", "fortran_order": False, "shape": (len(records), *size, 3)}
    np.lib.format.write_array_header_1_0(file, head)
    file.flush()
    begin, crcs = file.tell(), [0] * -(-len(records) // TOGETHER)

    def put(first: int, pixels: np.ndarray) -> None:
        content = memoryview(pixels.data).cast("B")
        crcs[first // TOGETHER] = zlib.crc32(content)
        place = begin + len(content) // len(pixels) * first
        while content:  # a disk that fills up takes a part
            written = os.pwrite(file.fileno(), content, place)
            content, place = content[written:], place + written

    return _decode_each(records, size, skip, put), _of_all(crcs)


def _of_all(crcs: Sequence[int]) -> int:
    """One checksum of those of the parts."""
    return zlib.crc32(np.array(crcs, dtype="<u4").tobytes())


def _decode_each(records: Sequence[Record], size: tuple[int, int], skip: bool, put: Put) -> list[int]:
    """Give every image to ``put``, see ``decode_all``: which ones cannot be read.

    Raises UserError for them unless ``skip``.
    """
    bad = []
    for i, readable in enumerate(decode_all([r.path for r in records], size, put), start=1):
        if not readable:
            bad.append(i - 1)
        if bad and not skip and (i % _CHUNK == 0 or i == len(records)):  # some more are counted for the message
            raise unreadable(records[bad[0]].path, len(bad))
    return bad


def _identity(file: Path) -> tuple:
    """What tells that a file is the same as before."""
    stat = file.stat()
    return file.resolve(), stat.st_ino, stat.st_size, stat.st_mtime_ns


def _picked(pixels: Tensor, index: np.ndarray) -> Tensor:
    """Rows of pixels [N, H, W, 3] as a batch [B, 3, H, W], copied by several threads."""
    return pixels.index_select(0, torch.from_numpy(index)).permute(0, 3, 1, 2)


def _bytes(records: Sequence[Record], size: tuple[int, int]) -> int:
    return len(records) * size[0] * size[1] * 3


def _key(records: Sequence[Record], size: tuple[int, int]) -> str:
    digest = hashlib.sha256(f"{VERSION} {size[0]}x{size[1]}\n".encode())
    for path in (r.path for r in records):
        try:
            stat = path.stat()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}: mend or remove it") from error
        digest.update(f"{os.path.realpath(path)}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return f"{size[0]}x{size[1]}-{digest.hexdigest()[:20]}"


def _mapped(file: Path) -> np.ndarray:
    """A stored array, in use as long as the map lives."""
    with file.open("rb") as opened:
        share(opened)
        np.lib.format.read_magic(opened)
        shape, _, dtype = np.lib.format.read_array_header_1_0(opened)
        return np.memmap(opened, dtype=dtype, mode="r", offset=opened.tell(), shape=shape)


def _not_written(folder: Path, error: OSError, then: str = "") -> UserError:
    return UserError(
        f"cannot write the image store in {folder.parent}: {error.strerror or error}; {then}"
        "choose another image.cache_dir or set image.cache=memory or image.cache=false"
    )
