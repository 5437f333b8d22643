"""Sums rounded once, whatever they hold."""

import math

import numpy as np
import pytest
from reference import brute_force
from reference.cases import KINDS, random_case

from reid.evaluation.ranking.scores import first_copies, pair_scores, rounded_sums


def terms(kind: str, rng: np.random.Generator, width: int) -> np.ndarray:
    normal = rng.standard_normal((50, width))
    return {
        "normal": normal,
        "cancelling": np.concatenate([normal, -normal[:, ::-1] * (1 + 2.0**-50)], axis=1),
        "to zero": np.concatenate([normal, -normal[:, ::-1]], axis=1),
        "halfway": 1 + 2.0**-53 * rng.integers(-2, 3, (50, width)),
        "wide": normal * 10.0 ** rng.integers(-80, 81, (50, width)),
        "few": np.round(normal, 1),
        "tipped": rng.permuted(np.tile([1, 2.0**-53, 2.0**-110, *[0.0] * width], (50, 1)), axis=1),  # just above half
    }[kind]


@pytest.mark.parametrize("kind", ["normal", "cancelling", "to zero", "halfway", "wide", "few", "tipped"])
@pytest.mark.parametrize("width", [1, 2, 3, 7, 64, 129, 513])
def test_sums_are_those_of_fsum(kind: str, width: int) -> None:
    rows = terms(kind, np.random.default_rng(width), width)
    assert rounded_sums(rows).tolist() == [math.fsum(row.tolist()) for row in rows]


@pytest.mark.parametrize("seed", range(4 * len(KINDS)))
def test_scores_are_those_of_the_brute_force(seed: int) -> None:
    case = random_case(seed)
    query, gallery = case.query.astype(np.float32), case.gallery.astype(np.float32)
    i, j = (a.reshape(-1) for a in np.indices((len(query), len(gallery))))
    expected = [brute_force.score(query[a], gallery[b], case.distance) for a, b in zip(i, j, strict=True)]
    assert pair_scores(query, gallery, i, j, case.distance).tolist() == expected
    copies = first_copies(gallery)
    assert pair_scores(query, gallery, i, copies[j], case.distance).tolist() == expected
