"""Market-1501, and every set laid out like it."""

import logging
import re
from pathlib import Path

from reid.data.records import Record, Split
from reid.errors import UserError

log = logging.getLogger(__name__)

_NAME = re.compile(r"^(-1|\d+)_c(\d+)")
_SUFFIXES = {".jpg", ".jpeg", ".png"}
_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
_JUNK = -1


def read(root: str | Path, name: str = "market1501") -> Split:
    """Read a folder in the Market-1501 layout.

    Reference: Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015. The published set has
    1,501 people and 6 cameras: 12,936 training images (751 people), 3,368 queries (750 people) and 19,732 gallery
    images, of which 2,793 are distractors; 3,819 of the files in the gallery folder are junk.

    Layout: ``bounding_box_train/``, ``query/`` and ``bounding_box_test/`` with files named
    ``PPPP_cCsS_FFFFFF_NN.jpg``, where PPPP is the identity and C the camera. Identity -1 marks junk (a bad
    detection, ignored by the protocol), 0000 a distractor (a person who is no query; kept in the gallery).

    Junk stays in the gallery it came with, since ignoring it is the protocol's work; it is never trained on.

    An identity in both train and query is warned of.

    Raises:
        UserError: a folder is missing, or holds no image with such a name.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise UserError(f"dataset.root={root} is not a folder: point it at the folder that holds {_listing()}")
    parts = {part: _read_folder(root, folder) for part, folder in _FOLDERS.items()}
    both = {r.pid for r in parts["train"]} & {r.pid for r in parts["query"]}
    if both:
        log.warning(
            "%d identities are in train and in query of %s (first: %s): numbers on such a set mean little",
            len(both), root, min(both),
        )  # fmt: skip
    return Split(
        name=name,
        root=root,
        train=tuple(r for r in parts["train"] if r.pid != _JUNK),
        query=parts["query"],
        gallery=parts["gallery"],
    )


def _read_folder(root: Path, folder: str) -> tuple[Record, ...]:
    path = root / folder
    if not path.is_dir():
        raise UserError(f"dataset.root={root} has no folder '{folder}'{_hint(root)}")
    files = sorted(f for f in path.iterdir() if f.suffix.lower() in _SUFFIXES)
    if not files:
        raise UserError(f"{path} holds no .jpg or .png image")
    records = [Record(f, int(m[1]), int(m[2])) for f in files if (m := _NAME.match(f.name))]
    if not records:
        raise UserError(
            f"{path}: none of its {len(files)} images is named like 0002_c1s1_000451_03.jpg (first: {files[0].name})"
        )
    return tuple(records)


def _hint(root: Path) -> str:
    """Say where the right level is, when the user pointed one folder too high or too low."""
    for candidate in [root.parent, *sorted(p for p in root.iterdir() if p.is_dir())]:
        if all((candidate / folder).is_dir() for folder in _FOLDERS.values()):
            return f": did you mean dataset.root={candidate}?"
    return f": it must hold {_listing()}"


def _listing() -> str:
    return "bounding_box_train/, query/ and bounding_box_test/"
