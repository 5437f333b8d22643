"""Why queries are left out, and what is said where all of them are."""

from typing import Any

import numpy as np
import pytest

from reid.errors import UserError
from reid.evaluation import Protocol, evaluate

# One query of each identity 1 .. 7; the gallery holds of each what one reason is about, and a match for 7.
LABELS: dict[str, Any] = {
    "query_pids": [1, 2, 3, 4, 5, 6, 7],
    "query_camids": [1] * 7,
    "query_tracks": [1] * 7,
    "query_times": [0] * 7,
    "query_clothes": [1] * 7,
    "gallery_pids": [2, 3, 4, 5, 6, 6, 7],
    "gallery_camids": [1, 2, 2, 2, 1, 2, 2],
    "gallery_tracks": [2, 1, 2, 2, 2, 1, 2],
    "gallery_times": [9, 9, -1, 9, 9, 9, 9],
    "gallery_clothes": [2, 2, 2, 1, 2, 2, 2],
}
EVERYTHING = Protocol("all", ignore_same_track=True, ignore_within=5, ignore_same_clothes=True)
ONES = np.ones((7, 1))


def test_each_reason() -> None:
    result = evaluate(ONES, ONES, **LABELS, protocol=EVERYTHING)
    assert result.unmatched_reasons == {
        "identity not in the gallery": 1,
        "identity only in the query's own camera": 1,
        "identity only in the query's own track": 1,
        "identity only near the query in time": 1,
        "identity only in the query's own clothes": 1,
        "identity only in images that the protocol ignores": 1,
    }
    assert result.queries_without_match == 6


def test_only_the_query_itself() -> None:
    result = evaluate(
        ONES[:2],
        ONES[:3],
        query_pids=[1, 2],
        gallery_pids=[1, 2, 2],
        query_gallery_index=[0, 1],
        protocol="no_camera",
    )
    assert result.unmatched_reasons == {"identity only in the query image itself": 1}


SPLIT = "check that query and gallery come from the same split"
NO_CAMERA = "choose protocol='no_camera' if camera ids mean nothing here"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"query_pids": [16, 12, 12, 15]},
            "none of the 4 queries has a true match: 4 show identities that are not in the gallery "
            f"(first: 12, 15, 16); query identities run from 12 to 16 and gallery identities run from -1 to 3; {SPLIT}",
        ),
        (
            {"query_pids": [1, 2, 3, 3]},
            "none of the 4 queries has a true match: 4 show identities that are there only in the query's own camera; "
            f"query identities run from 1 to 3 and gallery identities run from -1 to 3; {NO_CAMERA}",
        ),
        (
            {},
            "none of the 4 queries has a true match: 1 show identities that are not in the gallery (first: 9), 3 show "
            "identities that are there only in the query's own camera; query identities run from 1 to 9 and gallery "
            f"identities run from -1 to 3; {SPLIT}, or {NO_CAMERA}",
        ),
        (
            {"query_pids": [1, 2, 3, 3], "protocol": EVERYTHING, "gallery_camids": [2] * 6},
            "none of the 4 queries has a true match: 4 show identities that are there only near the query in time; "
            "query identities run from 1 to 3 and gallery identities run from -1 to 3; choose a protocol that ignores "
            "less",
        ),
    ],
)
def test_nothing_to_score(changes: dict[str, Any], message: str) -> None:
    labels: dict[str, Any] = {
        "query_pids": [1, 2, 9, 3],
        "gallery_pids": [-1, 1, 0, 2, 1, 3],
        "query_camids": [1] * 4,
        "gallery_camids": [1] * 6,
        "query_tracks": [1] * 4,
        "gallery_tracks": [2] * 6,
        "query_times": [0] * 4,
        "gallery_times": [1] * 6,
        "query_clothes": [1] * 4,
        "gallery_clothes": [2] * 6,
    }
    with pytest.raises(UserError) as caught:
        evaluate(ONES[:4], ONES[:6], **{**labels, **changes})
    assert str(caught.value) == message
