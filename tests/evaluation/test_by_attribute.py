import json

import numpy as np
import pytest

from reid.errors import UserError
from reid.evaluation import Evaluation, by_attribute, evaluate
from reid.evaluation.uncertainty import confidence_interval


@pytest.fixture
def result() -> Evaluation:
    """60 queries of 20 people with random features; nobody looks for person 3 with success."""
    rng = np.random.default_rng(0)
    gallery = rng.integers(0, 20, 200)
    gallery[gallery == 3] = 99
    features = rng.normal(size=(60, 8)), rng.normal(size=(200, 8))
    pids = {"query_pids": np.arange(60) % 20, "gallery_pids": gallery}
    return evaluate(*features, **pids, protocol="no_camera")


def test_each_row_is_the_plain_mean_over_its_people(result: Evaluation) -> None:
    people = {"hat": {"no": set(range(15)), "yes": {15, 16, 400}}, "age": {"old": {3, 4}, "young": {700}, "adult": {3}}}
    table = by_attribute(result, people)
    assert [(row.attribute, row.value) for row in table.rows] == [("hat", "no"), ("hat", "yes"), ("age", "old")]
    for row in table.rows:
        chosen = [i for i in range(60) if i % 20 in people[row.attribute][row.value] and i % 20 != 3]
        assert row.queries == len(chosen)
        assert row.identities == len({i % 20 for i in chosen})
        assert row.mAP == pytest.approx(sum(result.ap[i] for i in chosen) / len(chosen))
        assert row.rank_1 == pytest.approx(sum(result.match_ranks(i)[0] == 1 for i in chosen) / len(chosen))
    old, alone = table.rows[0].interval, table.rows[2].interval
    chosen = result.query_pids < 15
    assert old == confidence_interval(result.ap[chosen], result.query_pids[chosen])
    assert old.low < table.rows[0].mAP < old.high
    assert np.isnan(alone.low)


def test_an_attribute_of_everybody_gives_the_whole_result(result: Evaluation) -> None:
    (row,) = by_attribute(result, {"person": {"yes": range(20)}}).rows
    assert (row.mAP, row.rank_1, row.queries) == (pytest.approx(result.mAP), pytest.approx(result.rank(1)), 57)


def test_text_and_json_have_every_row_and_the_protocol(result: Evaluation) -> None:
    table = by_attribute(result, {"hat": {"no": {0, 1}, "yes": {2}}})
    lines = str(table).splitlines()
    assert len(lines) == 4
    assert [line.split()[:4] for line in lines[1:3]] == [["hat", "no", "6", "2"], ["hat", "yes", "3", "1"]]
    assert f"{table.rows[1].mAP:.2%}" in lines[2]
    assert lines[3] == result.stamp
    told = json.loads(json.dumps(table.to_dict()))
    assert told["protocol"] == result.stamp
    assert [row["mAP"] for row in told["rows"]] == [row.mAP for row in table.rows]
    assert told["rows"][1]["mAP_interval"] == [None, None]


def test_people_whom_nobody_looks_for_are_refused(result: Evaluation) -> None:
    with pytest.raises(UserError, match=r"are of none of the 20 queried people \(first: 0\)"):
        by_attribute(result, {"hat": {"yes": {3, 400}}})
