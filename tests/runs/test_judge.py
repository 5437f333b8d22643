"""What records tell reaches the protocol that asks for it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reid.data.records import Record
from reid.data.store import Images
from reid.runs.judge import Judgement, Judging, metrics, score

HOW = Judging("cloth_changing", "cosine", 8, torch.device("cpu"), None, False)


def record(pid: int, camid: int, clothes: int) -> Record:
    return Record(Path("x.jpg"), pid, camid, clothes=clothes)


def test_the_query_in_its_own_clothes_is_ignored_where_clothes_change() -> None:
    """Best to worst: the same clothes (ignored), a stranger, other clothes: the one match has rank 2, AP 1/2."""
    gallery = (record(1, 2, 1), record(2, 2, 1), record(1, 2, 5))
    features = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.9]])
    found = score(features[:1], features, (record(1, 1, 1),), gallery, HOW)
    assert found.match_ranks(0).tolist() == [2]
    assert found.mAP == 0.5


def judgement(protocol: str) -> Judgement:
    """Persons 1, 2 and 3 asked for in camera 1; the gallery has two images of the first two."""
    query = tuple(record(pid, 1, 0) for pid in (1, 2, 3))
    gallery = tuple(record(pid, 2, 0) for pid in (1, 1, 2, 2))
    features = np.eye(4)[[0, 1, 2]], np.eye(4)[[0, 0, 0, 3]] + np.eye(4)[[3, 1, 3, 3]] / 2
    how = Judging(protocol, "cosine", 8, torch.device("cpu"), None, False)
    images = [Images(records, (), lambda index: torch.zeros(len(index), 3, 8, 4)) for records in (query, gallery)]
    return Judgement(score(*features, query, gallery, how), *images, *features, how)


def test_a_row_a_query() -> None:
    """Person 1 has ranks 1 and 2. To person 2 the image with a part of axis 1 is nearest, then ties by their index."""
    assert judgement("market1501").per_query(Path()) == [
        ("x.jpg", 1, 1, "1.000000", 1, 2),
        ("x.jpg", 2, 1, "0.416667", 3, 4),
        ("x.jpg", 3, 1, "", "", ""),
    ]


def test_drawn_galleries_have_a_mean_ap_and_no_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judgement("cuhk03_single_shot")
    rows = found.per_query(Path())
    assert [row[4:] for row in rows] == [("", "")] * 3
    assert [row[3] == "" for row in rows] == [False, False, True]
    assert float(rows[0][3]) == pytest.approx(found.evaluation.ap[0], abs=1e-6)
    assert metrics(found)["mAP"] == pytest.approx(np.nanmean(found.evaluation.ap))
    assert len(found.ranked(3)) == 2
