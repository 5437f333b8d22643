"""Where a model is judged, and what is written of it."""

import doctest
from pathlib import Path
from typing import Any

from reid.data.records import Split
from reid.runs import targets
from reid.runs.per_query import per_query_files
from reid.runs.targets import Target, results, sizes


def row(name: str, mAP: float) -> dict[str, Any]:
    return {"dataset": name, "mAP": mAP, "protocol": "rules", "gallery": 9}


def test_one_target_is_told_as_ever() -> None:
    assert results([row("toy", 0.5)], model="last") == {
        "mAP": 0.5, "protocol": "rules", "model": "last", "dataset": "toy",
    }  # fmt: skip


def test_the_first_of_several_stands_at_the_top() -> None:
    rows = [row("toy", 0.5), row("mine", 0.25)]
    found = results(rows, model="last")
    assert found.pop("targets") == rows
    assert found == results(rows[:1], model="last")


def test_files_of_the_queries_are_safe_and_unlike() -> None:
    names = ["first", "a b", "a/b", "../up", "ü", "A_b", "a_b_2"]
    files = per_query_files(names)
    assert files[0] == "per_query.csv"
    assert len({f.lower() for f in files}) == len(names)  # also where names differ in case alone
    assert all(Path(f).name == f and f.isascii() and " " not in f for f in files)
    assert doctest.testmod(targets).failed == 0


def test_sizes_name_the_sets_where_there_are_several() -> None:
    one = Target(Split("a", Path(), (), (None,) * 2, (None,) * 5), "market1501")  # type: ignore[arg-type]
    two = Target(Split("b", Path(), (), (None,), (None,)), "market1501")  # type: ignore[arg-type]
    assert sizes([one]) == "2 queries, 5 gallery images"
    assert sizes([one, two]) == "a: 2 queries, 5 gallery images\nb: 1 queries, 1 gallery images"
