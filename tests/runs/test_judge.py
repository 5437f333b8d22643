"""What records tell reaches the protocol that asks for it."""

from pathlib import Path

import numpy as np
import torch

from reid.data.records import Record
from reid.runs.judge import Judging, score

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
