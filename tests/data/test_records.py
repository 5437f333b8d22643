import dataclasses
import os
import pickle
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from reid.data.records import Record, Split, camids, first_identities, hold_out, labels, names, pids, told
from reid.errors import UserError


def records(*pid_camid: tuple[int, int]) -> tuple[Record, ...]:
    return tuple(Record(Path(f"{i}.jpg"), pid, camid) for i, (pid, camid) in enumerate(pid_camid))


def random_split(seed: int, identities: int = 40) -> Split:
    """Identities with 1 to 4 cameras and 1 to 3 pictures in each."""
    rng = np.random.default_rng(seed)
    found = [
        (pid, camid)
        for pid in range(3, 3 + identities)
        for camid in rng.permutation(6)[: rng.integers(1, 5)].tolist()
        for _ in range(rng.integers(1, 4))
    ]
    return Split("made", Path("root"), records(*found), records((1000, 1)), records((1000, 2)))


def test_pictures_are_called_by_their_path_where_two_share_a_name() -> None:
    root = Path("/data/set")
    first, second, alone = (Record(root / path, 1, 1) for path in ("1/001.jpg", "2/001.jpg", "3/007.jpg"))
    assert names([first, alone, first], root) == ["001.jpg", "007.jpg", "001.jpg"]
    assert names([first, second, alone], root) == ["1/001.jpg", "2/001.jpg", "007.jpg"]
    assert names([first, second], root / "1") == ["001.jpg", "../2/001.jpg"]


def test_a_record_takes_less_than_300_bytes_with_its_path() -> None:
    """Paths of 60 characters, handed over as a folder's listing hands them over, and then forgotten."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [Record(Path(f"/data/somewhere/Market-1501/bounding_box_train/{i:04d}_c1s1.jpg"), 1000 + i, 3)
                for i in range(1000)]  # fmt: skip
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(str(kept[0].path)) == 60
    assert taken / len(kept) < 300


def test_a_path_may_be_text_and_comes_back_as_a_path() -> None:
    record = Record("a//b/./c.jpg", 1, 2, track=3)  # type: ignore[arg-type]
    assert record.path == Path("a/b/c.jpg")
    assert isinstance(record.path, Path)
    same = Record(Path("a/b/c.jpg"), 1, 2, track=3)
    assert record == same
    assert len({record, same, Record(Path("a/b/d.jpg"), 1, 2, track=3)}) == 2
    told = f"path={Path('a/b/c.jpg')!r}, pid=1, camid=2, clothes=None, track=3, time=None, source=None"
    assert repr(record) == f"Record({told})"


def test_a_record_stays_as_it_is_and_makes_another() -> None:
    record = Record(Path("a.jpg"), 1, 2, time=0.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.path = Path("b.jpg")  # type: ignore[misc]
    assert not hasattr(record, "__dict__")
    moved = dataclasses.replace(record, path="b/a.jpg", pid=7)
    assert moved == Record(Path("b/a.jpg"), 7, 2, time=0.5)
    assert dataclasses.replace(record) == record
    assert pickle.loads(pickle.dumps(record)) == record  # as a loader sends it to its workers


def test_what_is_told_is_told_of_all_or_of_none() -> None:
    dressed = [Record(Path("a.jpg"), 1, 1, clothes=c) for c in (3, 0)]
    assert told(dressed, "clothes").tolist() == [3, 0]
    assert told([*dressed, Record(Path("b.jpg"), 1, 1)], "clothes") is None
    assert told(dressed, "track") is None


def test_columns_are_int64() -> None:
    rows = records((5, 2), (-1, 3), (0, 1))
    np.testing.assert_array_equal(pids(rows), [5, -1, 0])
    np.testing.assert_array_equal(camids(rows), [2, 3, 1])
    assert pids(rows).dtype == camids(rows).dtype == labels(rows).dtype == np.int64


def test_labels_are_places_among_the_sorted_identities() -> None:
    np.testing.assert_array_equal(labels(records((1501, 1), (2, 1), (70, 1), (2, 2), (1501, 3))), [2, 0, 1, 0, 2])


def test_first_identities_keeps_the_smallest() -> None:
    split = Split("s", Path(), records((9, 1), (2, 1), (5, 1), (2, 2), (7, 1)), records((1, 1)), records((1, 2)))
    few = first_identities(split, 2)
    assert [r.pid for r in few.train] == [2, 5, 2]
    assert (few.query, few.gallery) == (split.query, split.gallery)


@pytest.mark.parametrize("seed", range(20))
def test_held_out_identities_can_all_be_found(seed: int) -> None:
    split = random_split(seed)
    rest, validation = hold_out(split, 0.3, seed)
    assert {r.pid for r in rest.train} & {r.pid for r in validation.query + validation.gallery} == set()
    assert set(rest.train) | set(validation.query) | set(validation.gallery) == set(split.train)
    assert len(rest.train) + len(validation.query) + len(validation.gallery) == len(split.train)
    assert len({r.pid for r in validation.query}) == round(0.3 * 40)
    assert {r.pid for r in validation.query} == {r.pid for r in validation.gallery}
    for q in validation.query:
        assert any(g.pid == q.pid and g.camid != q.camid for g in validation.gallery), q
    seen = [(q.pid, q.camid) for q in validation.query]
    assert len(set(seen)) == len(seen)  # one query for an identity in a camera
    assert (rest.query, rest.gallery, validation.train) == (split.query, split.gallery, ())


def test_hold_out_worked_by_hand() -> None:
    # Identity 1: camera 1 twice, camera 2 once. Only the picture of camera 2 has a match elsewhere.
    split = Split("s", Path(), records((1, 1), (1, 1), (1, 2), (2, 1), (2, 1), (3, 1), (3, 2)), (), ())
    rest, validation = hold_out(split, 0.34, 0)  # 1 of 3: 2 has one camera, 3 one picture in each
    assert [r.pid for r in rest.train] == [2, 2, 3, 3]
    assert validation.query == (split.train[2],)
    assert validation.gallery == split.train[:2]


def test_hold_out_depends_on_the_seed_alone() -> None:
    split = random_split(0)
    np.random.seed(1)
    first = hold_out(split, 0.3, 5)
    np.random.seed(2)
    assert hold_out(split, 0.3, 5) == first
    assert hold_out(split, 0.3, 6) != first
    again = Split("made", Path("root"), split.train[::-1], split.query, split.gallery)
    assert {r.pid for r in hold_out(again, 0.3, 5)[1].query} == {r.pid for r in first[1].query}


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2.0])
def test_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(UserError, match="dataset.val_fraction=.* must lie between 0 and 1"):
        hold_out(random_split(0), fraction, 0)


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_fraction_that_leaves_nobody_or_takes_everybody_is_refused(fraction: float) -> None:
    with pytest.raises(UserError, match="of 40 training identities"):
        hold_out(random_split(0), fraction, 0)


def test_fraction_beyond_the_identities_seen_by_two_cameras_is_refused() -> None:
    split = Split("s", Path(), records((1, 1), (1, 1), (1, 2), (2, 1), (3, 1), (4, 1)), (), ())
    with pytest.raises(UserError, match="would hold out 2 of 4 training identities, 1 of which"):
        hold_out(split, 0.5, 0)


def make(root: Path) -> Split:
    rows = []
    for name, pid, camid, length in (("a.jpg", 1, 1, 10), ("b.jpg", 2, 1, 20), ("c.jpg", 3, 2, 30)):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(length))
        rows.append(Record(path, pid, camid))
    return Split("s", root, (rows[0],), (rows[1],), (rows[2],))


def test_fingerprint_survives_a_move_and_tells_a_change_of_size(tmp_path: Path) -> None:
    split = make(tmp_path / "one")
    before = split.describe()
    assert before == split.describe()
    assert before["train"] == {"images": 1, "identities": 1, "cameras": 1}
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    moved = Split("s", tmp_path / "two", *((Record(tmp_path / "two" / r.path.name, r.pid, r.camid),)
                  for (r,) in (split.train, split.query, split.gallery)))  # fmt: skip
    assert moved.describe()["fingerprint"] == before["fingerprint"]
    os.truncate(split.gallery[0].path, 29)
    assert split.describe()["fingerprint"] != before["fingerprint"]


def test_fingerprint_tells_identities_cameras_and_parts_apart(tmp_path: Path) -> None:
    split = make(tmp_path / "one")
    (a,), (b,), (c,) = split.train, split.query, split.gallery
    others = [
        Split("s", split.root, (Record(a.path, 9, a.camid),), (b,), (c,)),
        Split("s", split.root, (Record(a.path, a.pid, 9),), (b,), (c,)),
        Split("s", split.root, (b,), (a,), (c,)),
        Split("s", split.root, (a,), (b, c), ()),
    ]
    assert len({str(s.describe()["fingerprint"]) for s in [split, *others]}) == 5
