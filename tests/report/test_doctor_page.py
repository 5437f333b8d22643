"""The doctor's page and text, from findings written by hand."""

import doctest
from pathlib import Path
from typing import Any

from report.pages import HOSTILE

from reid.report import doctor_text as text_of
from reid.report.doctor_page import doctor_page
from reid.report.doctor_text import doctor_text, verdict

EMPTY = {"images_of_an_identity": [], "identities_by_images": [], "cameras": [], "shared_identities": []}


def found(findings: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    counts = {"images": 1200, "identities": 7, "cameras": 1}
    return {
        "name": "mine",
        "root": "/pictures",
        "parts": {"train": counts, "query": counts, "gallery": counts},
        "sizes": {},
        "people": {"train": EMPTY, "test": EMPTY},
        "seconds": 1.0,
        "findings": findings,
        **changes,
    }


def copies(count: int) -> dict[str, Any]:
    files = [[f"/pictures/a/{i}.jpg", f"/elsewhere/{i}.jpg"] for i in range(count)]
    return {"severity": "warning", "name": "copies", "count": count, "meaning": "Twice there.", "files": files}


def test_text_names_the_first_three_as_seen_from_the_folder() -> None:
    lines = doctor_text(found([copies(5)])).splitlines()
    start = lines.index("warning  copies: 5")
    assert [line.strip() for line in lines[start + 1 : start + 6]] == [
        "Twice there.",
        *(f"a/{i}.jpg = /elsewhere/{i}.jpg" for i in range(3)),
        "and 2 more",
    ]
    assert "train    1,200 images, 7 identities, 1 camera" in lines


def test_page_shows_twelve_and_counts_the_rest() -> None:
    page = doctor_page(found([copies(15)]))
    assert page.count("<figure>") == 2 * 12
    assert "and 3 more" in page
    assert "and 3 more" not in doctor_page(found([copies(12)]))


def test_page_escapes_what_it_is_given(tmp_path: Path) -> None:
    finding = {"severity": "info", "name": HOSTILE, "count": 1, "meaning": HOSTILE, "files": [[HOSTILE]]}
    page = doctor_page(found([finding], name=HOSTILE, root=HOSTILE))
    assert "<script" not in page
    assert "onerror='" not in page


def test_histogram_and_matrix() -> None:
    spread = {
        "images_of_an_identity": [1, 1, 2, 30, 101],
        "identities_by_images": [[1, 2], [2, 1], [30, 1], [101, 1]],
        "cameras": [4, 9],
        "shared_identities": [[5, 3], [3, 3]],
    }
    page = doctor_page(found([], people={"train": spread, "test": EMPTY}))
    assert "from 1 to 101, median 2, half of them 1 to 30" in page
    assert '<div title="3 identities"><span>3<i style="height:85.0%"></i></span>1–11</div>' in page
    assert page.count('title="0 identities"') == 10 - 3
    assert '<td style="--share:36%">3</td>' in page  # 60 x 3 / 5
    lines = doctor_text(found([], people={"train": spread, "test": EMPTY})).splitlines()
    assert lines[lines.index("     4  9") + 1 :][:2] == ["  4  5  3", "  9  3  3"]


def test_verdicts() -> None:
    error, warning = {"severity": "error"}, {"severity": "warning"}
    assert verdict([]) == "healthy"
    assert verdict([error, warning, warning]) == "cannot be used as it is: 1 error and 2 warnings"
    assert doctest.testmod(text_of) == (0, 1)
