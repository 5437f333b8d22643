"""Several training sets as one."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from reid.data.records import Record, Split, hold_out, labels, pids, sources
from reid.data.union import union
from reid.errors import UserError


def record(place: str, pid: int, camid: int, **more: float) -> Record:
    return Record(Path(place), pid, camid, **more)  # type: ignore[arg-type]


def one(name: str, *train: Record) -> Split:
    return Split(name, Path("/data", name), train, (record(f"{name}/q", 1, 1),), (record(f"{name}/g", 1, 2),))


A = one("a", record("a/1", 7, 3), record("a/2", 0, 1), record("a/3", 7, 1))
B = one("b", record("b/1", 7, 3, clothes=4, track=9, time=2.5), record("b/2", 5, 3, clothes=0, track=8, time=0.5))


def random_set(name: str, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    rows = zip(rng.integers(0, 30, 200).tolist(), rng.integers(0, 5, 200).tolist(), strict=True)
    return one(name, *(record(f"{name}/{i}", pid, camid) for i, (pid, camid) in enumerate(rows)))


def test_worked_by_hand() -> None:
    """0 and 7 of the first become 1 and 2, then 5 and 7 of the second 3 and 4; its cameras 1 and 3 are 1 and 2."""
    joined = union([A, B])
    assert [(str(r.path), r.pid, r.camid, r.source) for r in joined.train] == [
        ("a/1", 2, 2, "a"), ("a/2", 1, 1, "a"), ("a/3", 2, 1, "a"), ("b/1", 4, 3, "b"), ("b/2", 3, 3, "b"),
    ]  # fmt: skip
    assert [(r.clothes, r.time) for r in joined.train] == [(None, None)] * 3 + [(4, 2.5), (0, 0.5)]
    assert [r.track for r in joined.train] == [None, None, None, 2, 1]
    assert (joined.name, joined.root) == ("union (a + b)", Path("/data"))
    assert (joined.query, joined.gallery, joined.sets) == ((), (), (A, B))


def test_labels_say_same_person_and_same_camera_exactly_where_the_sets_did() -> None:
    sets = [random_set(name, seed) for seed, name in enumerate("abc")]
    before = [(s.name, r) for s in sets for r in s.train]
    after = union(sets).train
    for (x, y), (u, v) in zip(itertools.combinations(before, 2), itertools.combinations(after, 2), strict=True):
        assert (u.pid == v.pid) == (x[0] == y[0] and x[1].pid == y[1].pid)
        assert (u.camid == v.camid) == (x[0] == y[0] and x[1].camid == y[1].camid)
    assert min(r.pid for r in after) == 1  # 0 and -1 are distractors and junk to most protocols
    assert len(np.unique(labels(after))) == len({(name, r.pid) for name, r in before})


def test_tracks_of_two_sets_are_never_the_same() -> None:
    tracked = [one(name, record(f"{name}/1", 1, 1, track=5), record(f"{name}/2", 1, 1, track=5)) for name in "ab"]
    assert [r.track for r in union(tracked).train] == [1, 1, 2, 2]


def test_places_of_the_sets() -> None:
    joined = union([B, A])
    assert sources(joined.train).tolist() == [0, 0, 1, 1, 1]
    assert sources(joined.train).dtype == np.int64
    assert sources(A.train).tolist() == [0, 0, 0]
    assert sources(()).tolist() == []


def test_identities_of_every_set_are_held_out() -> None:
    rest, validation = hold_out(union([random_set("a", 1), random_set("b", 2)]), 0.4, seed=0)
    assert set(pids(rest.train)) & set(pids(validation.query)) == set()
    assert {r.source for r in rest.train} == {r.source for r in validation.query} == {"a", "b"}
    for q in validation.query:
        assert {g.source for g in validation.gallery if g.pid == q.pid} == {q.source}


def test_a_set_alone_is_a_union_too() -> None:
    assert [r.pid for r in union([A]).train] == [2, 1, 2]


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        ([], r"dataset.sets=\[\] names no set"),
        ([A, one("a", record("c/1", 1, 1))], "two sets of the name a: give one of them a name of its own"),
        ([A, one("c")], "c has nothing to train on: leave it out, and judge on it with eval.targets"),
        ([A, one("c", record("c/1", 1, 1), A.train[1])], "a and c hold the same image .*a/2"),
    ],
)
def test_what_cannot_be_joined(sets: list[Split], says: str) -> None:
    with pytest.raises(UserError, match=says):
        union(sets)


def test_the_fingerprint_covers_the_test_parts_of_the_sets(tmp_path: Path) -> None:
    def written(length: int) -> Split:
        records = [Record(tmp_path / name, 1, camid) for camid, name in enumerate(("train", "query", "gallery"))]
        for r in records:
            r.path.write_bytes(bytes(length if r.path.name == "query" else 5))
        return Split("s", tmp_path, *((r,) for r in records))  # type: ignore[arg-type]

    before = union([written(1)]).describe()
    assert before == union([written(1)]).describe()
    assert before["sets"] == [written(1).describe()]
    assert before["train"] == {"images": 1, "identities": 1, "cameras": 1}
    assert union([written(2)]).describe()["fingerprint"] != before["fingerprint"]
    assert before["fingerprint"] != written(1).describe()["fingerprint"]
