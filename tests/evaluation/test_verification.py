"""Every pair scored by the definition in ``tiles`` with Python's whole numbers, every rate counted pair by pair."""

import math
from fractions import Fraction

import numpy as np
import pytest

from reid.errors import UserError
from reid.evaluation.open_set import open_set
from reid.evaluation.verification import verify
from reid.evaluation.views import by_identity, hardest_queries, score_distributions

DISTANCES = ["cosine", "euclidean"]


def half_even(value: Fraction) -> int:
    return round(value)  # Python rounds a half to even


def score(q, g, distance, longest):
    q, g = np.float32(q).astype(float), np.float32(g).astype(float)
    if distance == "cosine":
        scales = [math.sqrt(float(np.square(row).sum())) for row in (q, g)]
    else:
        scales = [2.0 ** math.frexp(longest)[1]] * 2
    u, v = (
        [half_even(Fraction(float(x / (scale * 2.0**-26)))) if scale else 0 for x in row]
        for row, scale in zip((q, g), scales, strict=True)
    )
    if distance == "cosine":
        return float(Fraction(half_even(Fraction(sum(a * b for a, b in zip(u, v, strict=True)), 2**32)), 2**20))
    squares = sum((a - b) ** 2 for a, b in zip(u, v, strict=True))
    return -float(Fraction(half_even(Fraction(squares, 2**31)), 2**21)) * scales[0] ** 2


def problem(seed, distance, ties=False, widths=(1, 2, 5, 16)):
    rng = np.random.default_rng(seed)
    q, g, width = int(rng.integers(1, 9)), int(rng.integers(4, 40)), int(rng.choice(widths))
    rows = rng.standard_normal((q + g, width)) if not ties else rng.integers(-1, 2, (q + g, width))
    rows = rows.astype(np.float32)
    labels = {"query_pids": rng.integers(1, 4, q), "gallery_pids": np.append(rng.integers(-1, 5, g - 2), [1, 9])}
    labels |= {"query_camids": rng.integers(0, 3, q), "gallery_camids": rng.integers(3, 5, g)}
    return rows[:q], rows[q:], labels | {"distance": distance}


def pairs_of(query, gallery, labels):
    """(query, score, whether it matches) of every pair that is not ignored."""
    longest = sum(max(math.sqrt(float(np.square(r.astype(float)).sum())) for r in rows) for rows in (query, gallery))
    for i, (q, pid, camid) in enumerate(zip(query, labels["query_pids"], labels["query_camids"], strict=True)):
        for g, other, camera in zip(gallery, labels["gallery_pids"], labels["gallery_camids"], strict=True):
            if other != -1 and not (other == pid and camera == camid):
                yield i, score(q, g, labels["distance"], longest), bool(other == pid)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("seed", range(30))
def test_rates_are_counts_of_pairs(seed: int, distance: str) -> None:
    query, gallery, labels = problem(seed, distance, ties=seed % 2 == 0)
    labels["query_pids"][0] = 1
    pairs = list(pairs_of(query, gallery, labels))
    positive = np.array([s for _, s, match in pairs if match])
    negative = np.array([s for _, s, match in pairs if not match])
    result = verify(query, gallery, **labels)
    assert (result.matches, result.nonmatches) == (len(positive), len(negative))
    wins = (positive[:, None] > negative).sum() + 0.5 * (positive[:, None] == negative).sum()
    assert result.auc == pytest.approx(wins / (len(positive) * len(negative)), abs=1e-12)
    for threshold in np.unique(np.append(positive, negative)):
        point = result.at(float(threshold))
        assert point.tpr == (positive >= threshold).mean()
        assert point.fpr == (negative >= threshold).mean()
        accepted = (positive >= threshold).sum() + (negative >= threshold).sum()
        assert point.precision == pytest.approx((positive >= threshold).sum() / accepted)
    for fpr in (0.0, 0.01, 0.1, 0.5):
        fitting = [t for t in [*positive, *negative, np.inf] if (negative >= t).mean() <= fpr]
        assert result.at_fpr(fpr).tpr == (positive >= min(fitting)).mean()


def test_equal_error_rate_by_hand() -> None:
    # scores 0.9 0.6 match, 0.8 0.3 0.2 0.1 do not: at 0.6 one of four is accepted, none refused; above it half refused
    angles = np.arccos([0.9, 0.6, 0.8, 0.3, 0.2, 0.1])
    gallery = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = {"query_pids": [1], "gallery_pids": [1, 1, 2, 3, 4, 5], "protocol": "no_camera"}
    result = verify(np.array([[1.0, 0.0]]), gallery, **labels)
    assert result.eer == pytest.approx(0.25)
    assert result.auc == pytest.approx(7 / 8)


def test_equal_scores_tell_nothing() -> None:
    labels = {"query_pids": [1], "gallery_pids": [1, 2, 3], "protocol": "no_camera"}
    result = verify(np.ones((1, 4)), np.ones((3, 4)), **labels)
    assert (result.auc, result.eer) == (0.5, 0.5)
    assert result.at_fpr(0.01).tpr == 0
    assert "fewer than" in str(result)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"gallery_pids": [1, 1]}, "nothing to tell matches from"),
        ({"gallery_pids": [2, 3]}, "none of the 1 queries"),
        ({"fprs": [1.5]}, "fprs"),
    ],
)
def test_what_cannot_be_verified_is_told(change: dict, says: str) -> None:
    labels = {"query_pids": [1], "gallery_pids": [1, 2], "protocol": "no_camera"} | change
    with pytest.raises(UserError, match=says):
        verify(np.eye(2)[:1], np.eye(2), **labels)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("seed", range(20))
def test_open_set_rates_are_counts_of_searches(seed: int, distance: str) -> None:
    query, gallery, labels = problem(seed, distance, widths=(5, 16))  # no ties: ranks are by scores alone
    labels["query_pids"][0] = 1
    query, labels["query_pids"] = np.append(query, query[:1], axis=0), np.append(labels["query_pids"], 77)
    labels["query_camids"] = np.append(labels["query_camids"], 0)
    pairs = list(pairs_of(query, gallery, labels))
    result = open_set(query, gallery, **labels)
    matched = sorted({i for i, _, match in pairs if match})
    assert result.mated.tolist() == matched
    best = [max((s for j, s, _ in pairs if j == i), default=-np.inf) for i in result.impostors]
    assert result.impostor_scores.tolist() == best
    for threshold in np.unique([s for _, s, _ in pairs])[::3]:
        point = result.at(float(threshold), rank=2)
        assert point.fpir == np.mean([b >= threshold for b in best])
        found = 0
        for i in matched:
            mine = [(s, match) for j, s, match in pairs if j == i]
            top = max(s for s, match in mine if match)
            found += top >= threshold and sum(s > top for s, match in mine if not match) < 2
        assert point.tpir == pytest.approx(found / len(matched))


def test_identities_held_out_become_impostors() -> None:
    labels = {"query_pids": [1, 2], "gallery_pids": [1, 2, 3], "protocol": "no_camera"}
    with pytest.raises(UserError, match="absent_pids"):
        open_set(np.eye(3)[:2], np.eye(3), **labels)
    result = open_set(np.eye(3)[:2], np.eye(3), **labels, absent_pids=[2])
    assert (result.mated.tolist(), result.impostors.tolist()) == ([0], [1])
    assert result.impostor_scores.tolist() == [0.0]
    assert "1 identities held out" in result.stamp


def test_histograms_hold_every_pair_and_the_moments_are_those_of_the_scores() -> None:
    query, gallery, labels = problem(4, "cosine")
    labels["query_pids"][0] = 1
    pairs = list(pairs_of(query, gallery, labels))
    result = score_distributions(query, gallery, **labels, bins=7)
    for counts, mean, std, kind in (
        (result.matches, result.match_mean, result.match_std, True),
        (result.nonmatches, result.nonmatch_mean, result.nonmatch_std, False),
    ):
        scores = np.array([s for _, s, match in pairs if match is kind])
        assert counts.tolist() == np.histogram(scores, np.append(result.edges[:-1], np.inf))[0].tolist()
        assert (mean, std) == (pytest.approx(scores.mean()), pytest.approx(scores.std()))


def test_identities_and_queries_are_listed_worst_first() -> None:
    from reid.evaluation import evaluate

    rng = np.random.default_rng(0)
    qp, gp = np.repeat([4, 5, 6], 3), rng.integers(4, 7, 40)
    result = evaluate(rng.standard_normal((9, 3)), rng.standard_normal((40, 3)), query_pids=qp, gallery_pids=gp,
                      protocol="no_camera")  # fmt: skip
    table = by_identity(result)
    expected = sorted((float(np.mean(result.ap[qp == pid])), pid) for pid in (4, 5, 6))
    assert table.pids.tolist() == [pid for _, pid in expected]
    assert table.mAP.tolist() == pytest.approx([mean for mean, _ in expected])
    assert table.queries.tolist() == [3, 3, 3]
    hard = hardest_queries(result, 4)
    assert [h.query for h in hard] == np.argsort(result.ap, kind="stable")[:4].tolist()
    assert hard[0].first_rank == result.match_ranks(hard[0].query)[0]
