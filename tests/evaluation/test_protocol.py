"""Who is junk, a distractor, a match; and that a stamp tells."""

from dataclasses import fields, replace

import numpy as np
import pytest
from reference import brute_force
from reference.cases import random_case

from reid.errors import UserError
from reid.evaluation import PROTOCOLS, Labels, Protocol

GALLERY = Labels(np.array([7, 7, 0, -1, 8]), camids=np.array([1, 2, 1, 2, 1]))


def judge(protocol: Protocol, pid: int = 7) -> tuple[list[int], list[int]]:
    match, junk = protocol.judge(Labels(np.array([pid]), camids=np.array([1])), GALLERY)
    assert match.shape == junk.shape == (1, 5)
    return np.flatnonzero(match).tolist(), np.flatnonzero(junk).tolist()


def test_market1501() -> None:
    assert judge(PROTOCOLS["market1501"]) == ([1], [0, 3])


def test_no_camera() -> None:
    assert judge(PROTOCOLS["no_camera"]) == ([0, 1], [3])
    match, _ = PROTOCOLS["no_camera"].judge(Labels(np.array([7])), Labels(GALLERY.pids))
    assert np.flatnonzero(match).tolist() == [0, 1]


def test_the_whole_camera() -> None:
    assert judge(PROTOCOLS["cross_camera_only"]) == ([1], [0, 2, 3, 4])


def test_identity_zero_is_ordinary_without_the_market_rules() -> None:
    assert judge(PROTOCOLS["no_camera"], 0) == ([2], [3])


def test_a_distractor_is_neither_junk_nor_match() -> None:
    assert judge(Protocol("p", distractor_pids=frozenset({7, 8}), ignore_same_camera=False)) == ([], [3])


def test_junk_by_several_identities() -> None:
    assert judge(Protocol("p", junk_pids=frozenset({-1, 0, 8}))) == ([1], [0, 2, 3, 4])
    assert judge(Protocol("p", junk_pids=frozenset())) == ([1], [0])


RULES = [
    {"ignore_same_camera": False, "ignore_same_track": True},
    {"ignore_same_camera": False, "ignore_within": 100},
    {"ignore_same_camera": True, "ignore_same_clothes": True},
    {"ignore_same_camera": False, "ignore_camera": True, "ignore_same_clothes": True},
    {"ignore_same_camera": True, "ignore_same_track": True, "ignore_within": 60, "ignore_same_clothes": True},
]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("rules", RULES)
def test_every_pair_as_the_brute_force_judges_it(rules: dict[str, float], seed: int) -> None:
    case = random_case(seed)
    protocol = Protocol("mine", **rules)  # type: ignore[arg-type]
    given = case.all_labels()
    query, gallery = (
        Labels(**{name: given[f"{side}_{name}"] for name in ("pids", "camids", "tracks", "times", "clothes")})
        for side in ("query", "gallery")
    )
    match, junk = protocol.judge(query, gallery, case.query_gallery_index)
    for i in range(len(match)):
        rest = case.rest_of(i)
        asked = {"pid": query.pids[i], "camid": query.camids[i], **rest["of_query"]}  # type: ignore[index]
        for j in range(len(gallery)):
            image = {"pid": gallery.pids[j], "camid": gallery.camids[j], "place": j}  # type: ignore[index]
            image |= {name: values[j] for name, values in rest["of_gallery"].items()}
            assert junk[i, j] == brute_force.is_junk(asked, image, **rules)
            assert match[i, j] == (not junk[i, j] and query.pids[i] == gallery.pids[j])


def test_stamps() -> None:
    assert PROTOCOLS["market1501"].stamp == (
        "market1501: junk -1 ignored, 0000 kept as distractors, same identity in the same camera ignored, "
        "AP = mean precision at each true match, cosine"
    )
    bare = Protocol("bare", junk_pids=frozenset(), ignore_same_camera=False, distance="euclidean")
    assert bare.stamp == (
        "bare: no junk, no distractors, cameras not considered, AP = mean precision at each true match, euclidean"
    )
    everything = Protocol(
        "all",
        ignore_camera=True,
        ignore_same_track=True,
        ignore_within=2.5,
        ignore_same_clothes=True,
        ignore_own_image=True,
        gallery_unit="track",
        average_precision="trapezoid",
        feature="after the neck",
        normalisation="unit length",
        flip="mean of both",
        reranking="k-reciprocal 20 6 0.3",
        expansion="query expansion of 5",
        data="1a2b",
    )
    assert everything.stamp == (
        "all: junk -1 ignored, no distractors, the query's camera ignored, same identity in the same track ignored, "
        "same identity less than 2.5 apart in time ignored, same identity in the same clothes ignored, "
        "own image ignored, tracks ranked by their best image, AP = trapezoid rule, cosine, feature: after the neck, "
        "normalised: unit length, flip: mean of both, re-ranked: k-reciprocal 20 6 0.3, "
        "expanded: query expansion of 5, data: 1a2b"
    )
    assert "one image an identity drawn in 100 trials from seed 0" in PROTOCOLS["cuhk03_single_shot"].stamp
    assert "\n" not in everything.stamp


OTHER = {bool: True, int: 3, float: 5, str: "x"}


@pytest.mark.parametrize("name", [f.name for f in fields(Protocol) if f.name not in ("about", "seed")])
def test_every_field_shows_in_the_stamp(name: str) -> None:
    known = {"gallery_unit": "track", "average_precision": "trapezoid", "distance": "euclidean"}
    known |= {"junk_pids": frozenset({5}), "distractor_pids": frozenset({5}), "ignore_same_camera": False}  # type: ignore[dict-item]
    value = known.get(name, OTHER[type(getattr(Protocol("p"), name))] if name not in known else None)
    changed = replace(Protocol("p"), **{name: value})  # type: ignore[arg-type]
    assert changed.stamp != Protocol("p").stamp
    assert changed.difference(Protocol("p"))
    assert not changed.difference(replace(changed, about="elsewhere"))


def test_the_seed_shows_where_something_is_drawn() -> None:
    drawn = Protocol("p", trials=2)
    how = "one image an identity drawn in 2 trials from seed"
    assert replace(drawn, seed=1).difference(drawn) == f"a has [{how} 1] where b has [{how} 0]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": "l2"}, "distance='l2' is unknown; choose one of cosine, euclidean"),
        (
            {"average_precision": "area"},
            "average_precision='area' is unknown; choose one of precision_at_hit, trapezoid",
        ),
        ({"gallery_unit": "video"}, "gallery_unit='video' is unknown; choose one of image, track"),
        ({"trials": -1}, "trials=-1 of protocol p must be 0 or more"),
        ({"ignore_within": float("nan")}, "ignore_within=nan"),
        ({"trials": 5, "gallery_unit": "track"}, "draws images and ranks tracks"),
    ],
)
def test_options_that_are_none(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Protocol("p", **options)  # type: ignore[arg-type]
