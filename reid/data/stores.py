"""The image stores in a cache folder: what there is, and how it is removed.

A store is a folder ``<height>x<width>-<digest>`` with the pixels and their description, see ``reid.data.store``. While
it is built it is called ``<store>.partial-<random>``, and ``<store>.lock`` is held; while it is used its pixels are.
"""

import contextlib
import json
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from reid.data.locks import locked, unused

VERSION = 2  # of the layout; another one is never opened, since it is part of the digest
PIXELS, DESCRIPTION = "images.npy", "store.json"
_NAME = re.compile(r"(\d+x\d+-[0-9a-f]{20})(\.partial-[0-9a-f]+)?")

State = Literal["complete", "in use", "being built", "partial", "damaged", "of another version"]


@dataclass(frozen=True)
class Store:
    """A store, or a part of one.

    Attributes:
        images: how many it holds; None where that is not known.
        size: bytes.
        used: when it was opened last, in seconds since 1970.
        state: "complete" and "in use" are by the sizes of the files, whose pixels are not read for it.
    """

    path: Path
    images: int | None
    size: int
    used: float
    state: State

    @property
    def name(self) -> str:
        return self.path.name


def stores(cache: Path) -> list[Store]:
    """All that are in the folder ``cache``, the one used last first; none if there is no such folder."""
    return sorted(map(_look, _folders(cache)), key=lambda store: (-store.used, store.name))


def remove(path: Path) -> bool:
    """Remove a store or a part of one; False if it is in use or being built. Raises OSError where that cannot be."""
    with locked(lock_of(path)) as alone, unused(path / PIXELS) as idle:
        if not (alone and idle):
            return False
        doomed = partial_of(path)  # so that a removal that is stopped leaves no store with holes
        path.rename(doomed)
        shutil.rmtree(doomed)
        return True


def remove_leftovers(cache: Path, held: str) -> None:
    """Remove the parts that killed builders left, those of the store whose lock the caller has (``held``) too."""
    for path in _folders(cache):
        if not _is_partial(path):
            continue
        with contextlib.suppress(OSError):
            if _store_of(path) == held:
                shutil.rmtree(path)
            else:
                remove(path)


def lock_of(path: Path) -> Path:
    """What its builder holds."""
    return path.with_name(f"{_store_of(path)}.lock")


def partial_of(path: Path) -> Path:
    """A new name for a part of a store."""
    return path.with_name(f"{_store_of(path)}.partial-{uuid.uuid4().hex[:12]}")


def _folders(cache: Path) -> Iterator[Path]:
    """Nothing but what is named as a store is: a cache folder may be anybody's home."""
    if cache.is_dir():
        yield from (p for p in sorted(cache.iterdir()) if _NAME.fullmatch(p.name) and p.is_dir() and not p.is_symlink())


def _store_of(path: Path) -> str:
    return path.name.partition(".")[0]


def _is_partial(path: Path) -> bool:
    return _store_of(path) != path.name


def _look(path: Path) -> Store:
    told = _description(path)
    images = told.get("images")
    return Store(
        path=path,
        images=images if isinstance(images, int) else None,
        size=sum(_stat(path / file)[0] for file in (PIXELS, DESCRIPTION)),
        used=_stat(path / DESCRIPTION)[1] or _stat(path)[1],
        state=_state(path, told),
    )


def _state(path: Path, told: dict) -> State:
    if _is_partial(path):
        return "being built" if _busy(lock_of(path)) else "partial"
    if _busy(path / PIXELS):
        return "in use"
    if told.get("version", VERSION) != VERSION:
        return "of another version"
    try:
        shape = np.load(path / PIXELS, mmap_mode="r").shape  # of a file that is too short there is no map
        return "complete" if list(shape) == [told["images"], *told["size"], 3] else "damaged"
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return "damaged"


def _description(path: Path) -> dict:
    try:
        told = json.loads((path / DESCRIPTION).read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _stat(file: Path) -> tuple[int, float]:
    """Bytes and time; nothing for a file that has gone meanwhile."""
    try:
        stat = file.stat()
    except OSError:
        return 0, 0.0
    return stat.st_size, stat.st_mtime


def _busy(file: Path) -> bool:
    try:
        with unused(file) as free:
            return not free
    except OSError:  # no locks, or not ours
        return False
