"""A ``GalleryIndex`` in one file: a ZIP archive, whose checksums tell a damaged one, of NumPy, JSON and FAISS parts."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from reid.errors import UserError
from reid.evaluation.inputs import Distance
from reid.evaluation.search import engine
from reid.evaluation.search.columns import Columns
from reid.evaluation.search.options import IndexOptions
from reid.files import replacing

_FORMAT = "reid gallery 1"
# What zipfile, json, NumPy and FAISS raise for a broken archive or a foreign file.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError)


def save(path: Path, index: Any, options: IndexOptions, distance: Distance, dimensions: int, columns: Columns) -> None:
    """Write the parts; a crash leaves the old file or the new one."""
    about = {"format": _FORMAT, "options": asdict(options), "distance": distance, "dimensions": dimensions}
    names = None if columns.names is None else columns.names.tolist()
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("about.json", json.dumps(about))
        archive.writestr("names.json", json.dumps(names))
        for name in ("pids", "camids", "alive"):
            if getattr(columns, name) is not None:
                with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
                    np.save(part, getattr(columns, name))
        with archive.open("index.faiss", "w", force_zip64=True) as part:
            engine.write(index, part.write)


def load(path: Path) -> tuple[Any, IndexOptions, Distance, int, Columns]:
    """Read the parts, once their checksums are right: FAISS is given nothing damaged."""
    try:
        file = path.open("rb")
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"cannot read {path} ({reason}); give a file that GalleryIndex.save wrote") from error
    try:
        with file, zipfile.ZipFile(file) as archive:
            return _parts(archive)
    except _DAMAGE as error:
        raise UserError(
            f"{path} is damaged, or not what GalleryIndex.save wrote ({error}); restore a copy or build the index again"
        ) from error


def _parts(archive: zipfile.ZipFile) -> tuple[Any, IndexOptions, Distance, int, Columns]:
    damaged = archive.testzip()
    if damaged:
        raise ValueError(f"checksum of {damaged}")
    about = json.loads(archive.read("about.json"))
    if about["format"] != _FORMAT:
        raise ValueError(f"format {about['format']}, this version reads {_FORMAT}")
    names = json.loads(archive.read("names.json"))
    parts: dict[str, Any] = {"camids": None}
    for name in ("pids", "camids", "alive"):
        if f"{name}.npy" in archive.namelist():
            with archive.open(f"{name}.npy") as part:
                parts[name] = np.load(part, allow_pickle=False)
    columns = Columns(names=None if names is None else np.array(names, dtype=object), **parts)
    with archive.open("index.faiss") as part:
        index = engine.read(part.read)
    return index, IndexOptions(**about["options"]), about["distance"], about["dimensions"], columns
