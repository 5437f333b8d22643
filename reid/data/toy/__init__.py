"""The embedded default data set: synthetic pedestrians in the Market-1501 layout and file names.

Identity lives in body shape, clothing cut, pattern and belongings; garments share seven colours, and each of the six
cameras changes light, colour balance, view, scale, background, blur, crop and occlusion. So matching needs a trained
embedding: colour histograms and untrained networks do poorly (`benchmarks/toy_baselines.py` prints how poorly).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reid.data.toy.cameras import CAMERAS, take_picture
from reid.data.toy.people import draw_person
from reid.errors import UserError

if TYPE_CHECKING:
    from reid.data.records import Split

VERSION = 1  # raise whenever the pixels or names change
FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
_PERSON, _DISTRACTOR, _PASSER_BY, _PICTURE, _PLAN = 0, 1, 2, 4, 5  # purposes of random streams; 3 is the streets


@dataclass(frozen=True)
class Shot:
    """One picture to take. `pid` -1 is junk and 0 a distractor, as in Market-1501; `who` numbers the random person."""

    folder: str
    pid: int
    camera: int
    serial: int
    who: int
    heading: float

    @property
    def name(self) -> str:
        pid = "-1" if self.pid < 0 else f"{self.pid:04d}"
        return f"{pid}_c{self.camera}s{1 + self.serial % 3}_{self.serial:06d}_{1 + self.serial % 4:02d}.jpg"


def plan(train_identities: int, test_identities: int, seed: int) -> list[Shot]:
    """List every picture of the data set: identities are split at random, so train and test numbers interleave.

    A training identity has 10 to 12 pictures from 4 to 6 cameras. A test identity is seen by 3 or 4 cameras: one query
    and two gallery pictures in each. The gallery also holds 3 junk pictures and 4 distractors per 2 test identities.
    """
    rng = np.random.default_rng([seed, _PLAN])
    shots: list[Shot] = []

    def add(folder: str, pid: int, camera: int, who: int, heading: float) -> None:
        shots.append(Shot(folder, pid, camera, len(shots) + 1, who, heading))

    def headings() -> np.ndarray:
        return rng.normal(0, 0.5, len(CAMERAS) + 1)  # a person keeps one direction in front of one camera

    pids = 1 + rng.permutation(train_identities + test_identities)
    for pid in sorted(int(p) for p in pids[:train_identities]):
        seen, turn = rng.permutation(len(CAMERAS))[: rng.integers(4, 7)] + 1, headings()
        for i in range(int(rng.integers(10, 13))):
            camera = int(seen[i % len(seen)])
            add(FOLDERS[0], pid, camera, pid, turn[camera])
    for pid in sorted(int(p) for p in pids[train_identities:]):
        seen, turn = rng.permutation(len(CAMERAS))[: rng.integers(3, 5)] + 1, headings()
        for camera in sorted(int(c) for c in seen):
            for folder in (FOLDERS[1], FOLDERS[2], FOLDERS[2]):
                add(folder, pid, camera, pid, turn[camera])
    for i in range(3 * test_identities // 2):
        add(FOLDERS[2], -1, int(rng.integers(1, 7)), i, float(rng.uniform(-3, 3)))
    for i in range(2 * test_identities):
        add(FOLDERS[2], 0, int(rng.integers(1, 7)), i, float(rng.normal(0, 0.5)))
    return shots


def _take(shot: Shot, root: Path, seed: int) -> None:
    """Render one shot; it depends on the seed and its own numbers only, so order and threads do not matter."""
    stream = _PERSON if shot.pid > 0 else _DISTRACTOR
    person = draw_person(np.random.default_rng([seed, stream, shot.who]))
    passer_by = draw_person(np.random.default_rng([seed, _PASSER_BY, shot.serial]))
    picture = take_picture(
        None if shot.pid < 0 and shot.who % 4 == 0 else person,
        shot.camera,
        np.random.default_rng([seed, _PICTURE, shot.serial]),
        seed=seed,
        heading=shot.heading,
        passer_by=passer_by,
        junk=shot.pid < 0,
    )
    picture.save(root / shot.folder / shot.name, quality=92)


def _arguments(train_identities: int, test_identities: int, seed: int) -> dict[str, int]:
    return {
        "version": VERSION,
        "train_identities": train_identities,
        "test_identities": test_identities,
        "seed": seed,
    }


def render(root: Path, *, train_identities: int = 100, test_identities: int = 100, seed: int = 0) -> None:
    """Write the data set to the new folder `root`: about 2,500 JPEG pictures of 160 x 80, and `toy.json`.

    Everything is drawn into a sibling folder that is renamed at the end, so an interrupted run leaves no half set.
    Equal arguments give equal pixels, whatever the number of threads.

    Raises:
        UserError: `root` exists already, or a count is below 2, or the seed is negative.
    """
    if train_identities < 2 or test_identities < 2 or seed < 0:
        raise UserError(
            f"dataset toy needs at least 2 train_identities and test_identities and a seed of 0 or more, "
            f"not {train_identities}, {test_identities} and {seed}"
        )
    if root.exists():
        raise UserError(f"dataset.root={root} exists already: remove it or choose another dataset.root")
    root.parent.mkdir(parents=True, exist_ok=True)
    wanted = _arguments(train_identities, test_identities, seed)
    draft = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        for folder in FOLDERS:
            (draft / folder).mkdir()
        shots = plan(train_identities, test_identities, seed)
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            for _ in pool.map(lambda shot: _take(shot, draft, seed), shots):
                pass
        (draft / "toy.json").write_text(json.dumps(wanted) + "\n")
        draft.chmod(0o755)  # mkdtemp made it private
        try:
            draft.rename(root)
        except OSError:
            if not root.exists():
                raise
            _check(root, wanted)  # another process was first: the same pixels, if it had the same arguments
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check(root: Path, wanted: dict[str, int]) -> None:
    """Raise UserError unless `root` is a toy set rendered with the `wanted` arguments."""
    way_out = "remove it or choose another dataset.root"
    try:
        found = json.loads((root / "toy.json").read_text())
    except (OSError, ValueError):
        raise UserError(f"dataset.root={root} is not a rendered toy data set: {way_out}") from None
    if found != wanted:
        raise UserError(f"dataset.root={root} was rendered with {found}, not {wanted}: {way_out}")


def read(root: str | Path, *, train_identities: int = 100, test_identities: int = 100, seed: int = 0) -> Split:
    """Read the toy data set below `root`, rendering it first if the folder does not exist.

    Protocol: Market-1501, see `reid.data.readers.market1501.read`.

    Raises:
        UserError: `root` holds something else, or a toy set rendered with other arguments.
    """
    from reid.data.readers.market1501 import read as read_market1501

    root = Path(root).expanduser()
    if not root.exists():
        start = time.perf_counter()
        render(root, train_identities=train_identities, test_identities=test_identities, seed=seed)
        print(f"rendered the toy data set to {root} in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    _check(root, _arguments(train_identities, test_identities, seed))
    return read_market1501(root, name="toy")
