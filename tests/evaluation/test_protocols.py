"""Every named protocol on a gallery worked by hand, and random cases of each against the brute force."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from reference import brute_force
from reference.cases import random_case

from reid.errors import UserError
from reid.evaluation import PROTOCOLS, Evaluation, evaluate


def line(protocol: str, pids: list[int], camids: list[int] | None = None, **others: Any) -> Evaluation:
    """One query at 0 on a line, of identity 1, camera 1, track 1, clothes 1, time 0; the gallery at 1, 2, 3, ..."""
    query: dict[str, Any] = {"query_pids": [1]}
    gallery: dict[str, Any] = {"gallery_pids": pids}
    labels = {"camids": camids, **{name: value for name, value in others.items() if name != "query_gallery_index"}}
    for name, values in labels.items():
        if values is not None:
            query[f"query_{name}"], gallery[f"gallery_{name}"] = [0 if name == "times" else 1], values
    own = {"query_gallery_index": others["query_gallery_index"]} if "query_gallery_index" in others else {}
    images = np.arange(1.0, len(pids) + 1)[:, None]
    return evaluate(np.zeros((1, 1)), images, **query, **gallery, **own, protocol=protocol, distance="euclidean")


def ranks(evaluation: Evaluation) -> list[int]:
    return evaluation.match_ranks(0).tolist()


def test_market1501() -> None:
    """Of 1(c1) -1 0 1(c2) 2 1(c3), 1(c1) is in the query's camera and -1 junk: 0 | 1 | 2 | 1."""
    assert ranks(line("market1501", [1, -1, 0, 1, 2, 1], [1, 2, 2, 2, 1, 3])) == [2, 4]


def test_msmt17_has_a_real_identity_0() -> None:
    labels: dict[str, Any] = {"gallery_pids": [1, 0, 0], "query_camids": [1], "gallery_camids": [2, 1, 3]}
    features = np.zeros((1, 1)), np.arange(1.0, 4)[:, None]
    result = evaluate(*features, query_pids=[0], **labels, protocol="msmt17", distance="euclidean")
    assert ranks(result) == [2]
    with pytest.raises(UserError, match="identity 0, which protocol market1501 reserves"):
        evaluate(*features, query_pids=[0], **labels, protocol="market1501", distance="euclidean")


def test_no_camera() -> None:
    """Junk at rank 2 is dropped; the own image counts unless it is told to be one."""
    pids = [1, -1, 0, 1]
    assert ranks(line("no_camera", pids)) == [1, 3]
    told = line("no_camera", pids, query_gallery_index=[0])
    assert ranks(told) == [2]
    assert "own image ignored" in told.stamp


def test_cross_camera_only() -> None:
    """Strangers of the query's camera go too: of 2(c1) 1(c1) 2(c2) 1(c2) remain 2(c2) and 1(c2)."""
    assert ranks(line("cross_camera_only", [2, 1, 2, 1], [1, 1, 2, 2])) == [2]


def test_time_gap() -> None:
    """1 in track 1 and 1 after 299 s are ignored; 2 stays, whatever its track and time; 1 after 300 s counts."""
    pids, tracks, times = [1, 2, 1, 1, 1], [1, 1, 2, 3, 1], [900, 0, 299, -300, 900]
    both = line("time_gap", pids, tracks=tracks, times=times)
    assert ranks(both) == [2]
    assert "same track ignored, same identity less than 300 apart in time ignored" in both.stamp
    only_tracks, only_times = line("time_gap", pids, tracks=tracks), line("time_gap", pids, times=times)
    assert (ranks(only_tracks), ranks(only_times)) == ([2, 3], [1, 3, 4])
    assert ("time" in only_tracks.stamp.split(": ", 1)[1], "track" in only_times.stamp) == (False, False)
    with pytest.raises(UserError, match="query_tracks and gallery_tracks missing: protocol time_gap ignores"):
        line("time_gap", pids)


def test_cloth_changing() -> None:
    """Of identity 1 only the last is of another camera and in other clothes; identity 2 in those clothes stays."""
    pids, camids, clothes = [1, 2, 1, 1], [2, 2, 1, 2], [1, 1, 2, 2]
    assert ranks(line("cloth_changing", pids, camids, clothes=clothes)) == [2]
    with pytest.raises(UserError, match="query_clothes and gallery_clothes missing: protocol cloth_changing ignores"):
        line("cloth_changing", pids, camids)


def test_vehicle() -> None:
    """Tracks by their best image: 1/5 is of the query's camera; then 2/6 at 2, 1/7 at 3, 3/8 at 4, 1/9 at 6."""
    pids = [1, 2, 1, 3, 2, 1, 1, 3]
    tracks = [5, 6, 7, 8, 6, 9, 7, 8]
    camids = [1, 3, 2, 2, 3, 4, 2, 2]
    labels: dict[str, Any] = {"query_pids": [1], "query_camids": [1], "gallery_camids": camids}
    features = np.zeros((1, 1)), np.arange(1.0, 9)[:, None]
    result = evaluate(
        *features, **labels, gallery_pids=pids, gallery_tracks=tracks, protocol="vehicle", distance="euclidean"
    )
    assert ranks(result) == [2, 4]
    assert result.mAP == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert result.cmc.tolist() == [0, 1, 1, 1, 1]  # of five tracks
    with pytest.raises(UserError, match="gallery_tracks missing: protocol vehicle ranks tracks"):
        evaluate(*features, **labels, gallery_pids=pids, protocol="vehicle")


def test_cuhk03_single_shot() -> None:
    """In camera 2 identity 1 stands at 2 and 4, and 2 at 3: rank 1 or 2, each in one trial of two."""
    pids, camids = [1, 1, 2, 1, 2], [1, 2, 2, 2, 1]
    result = line("cuhk03_single_shot", pids, camids)
    found = [ranks(trial) for trial in result.trials]
    assert len(found) == 100
    assert all(rank in ([1], [2]) for rank in found)
    first = found.count([1])
    assert 30 <= first <= 70  # within four standard deviations of 50
    assert result.rank(1) == pytest.approx(first / 100)
    assert result.mAP == pytest.approx((first + (100 - first) / 2) / 100)
    assert result.spread("rank-1") == pytest.approx(np.std([r == [1] for r in found], ddof=1))
    assert len(result.cmc) == 2


NAMES = [name for name in PROTOCOLS if name not in ("cuhk03_single_shot", "vehicle")]
RULES: dict[str, dict[str, float]] = {
    "market1501": {},
    "msmt17": {},
    "no_camera": {"ignore_same_camera": False},
    "cross_camera_only": {"ignore_same_camera": False, "ignore_camera": True},
    "time_gap": {"ignore_same_camera": False, "ignore_same_track": True, "ignore_within": 300},
    "cloth_changing": {"ignore_same_clothes": True},
    "vehicle": {},
}


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("name", [*NAMES, "vehicle"])
def test_random_case(name: str, seed: int) -> None:
    case = random_case(seed)
    judged = brute_force.track_ranks if name == "vehicle" else brute_force.match_ranks
    rules = {"distance": case.distance, **RULES[name]}
    own = seed % 2 == 0
    expected = [judged(*row, **case.rest_of(i, own), **rules) for i, row in enumerate(case.query_rows())]
    labels = case.all_labels()
    if not own:
        del labels["query_gallery_index"]
    arguments: dict[str, Any] = {**labels, "protocol": name, "distance": case.distance}
    if not any(expected):
        with pytest.raises(UserError, match="none of the .* queries has a true match"):
            evaluate(case.query, case.gallery, **arguments)
        return
    result = evaluate(case.query, case.gallery, **arguments, average_precision="trapezoid")
    assert [result.match_ranks(i).tolist() for i in range(result.queries)] == expected
    assert sum(result.unmatched_reasons.values()) == expected.count([])
    matched = [r for r in expected if r]
    assert result.mAP == pytest.approx(np.mean([brute_force.trapezoid_average_precision(r) for r in matched]))
    assert result.mINP == pytest.approx(np.mean([brute_force.inverse_negative_penalty(r) for r in matched]))
    assert result.cmc == pytest.approx([brute_force.cmc(expected, k) for k in range(1, len(result.cmc) + 1)])


def test_names_and_sources() -> None:
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())
    assert all(
        len(protocol.about) > 100 and protocol.about == protocol.about.strip() for protocol in PROTOCOLS.values()
    )
    assert len({protocol.stamp for protocol in PROTOCOLS.values()}) == len(PROTOCOLS)


def test_a_changed_protocol_stays_ready_made() -> None:
    mine = replace(PROTOCOLS["market1501"], average_precision="trapezoid")
    assert PROTOCOLS["market1501"].average_precision == "precision_at_hit"
    assert mine.about == PROTOCOLS["market1501"].about
