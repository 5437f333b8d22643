"""Queries that nothing can match, as the doctor tells them."""

from pathlib import Path

from reid.data.records import Record, Split
from reid.runs.doctor import labels_line, query_findings, quick

MATCHED = (1, 1), (1, 2)  # identity and camera of a query, and of a gallery image


def split(query: list[tuple[int, int]], gallery: list[tuple[int, int]]) -> Split:
    parts = [
        tuple(Record(Path(part, f"{i}.jpg"), pid, camera) for i, (pid, camera) in enumerate(labels))
        for part, labels in (("query", query), ("gallery", gallery))
    ]
    return Split("mine", Path(), (), *parts)


def test_each_reason_and_its_files() -> None:
    found = query_findings(split([(1, 1), (2, 1), (3, 1), (4, 1)], [(1, 2), (3, 1), (-1, 1), (5, 2)]), "market1501")
    assert [(f.severity, f.name, f.count) for f in found] == [
        ("warning", "queries without a match, identity not in the gallery", 2),
        ("warning", "queries without a match, identity only in the query's own camera", 1),
    ]
    assert found[0].files == ((Path("query/1.jpg"),), (Path("query/3.jpg"),))
    assert found[1].files == ((Path("query/2.jpg"),),)


def test_a_set_without_any_match_cannot_be_used() -> None:
    disjoint = split([(1, 1), (2, 1)], [(3, 2), (4, 2)])
    (finding,) = query_findings(disjoint, "market1501")
    assert (finding.severity, finding.count) == ("error", 2)
    own_camera = split([(1, 1)], [(1, 1)])
    assert [f.severity for f in query_findings(own_camera, "market1501")] == ["error"]
    assert query_findings(own_camera, "no_camera") == []


def test_what_a_protocol_refuses_is_told() -> None:
    reserved = split([(0, 1)], [(0, 2)])
    (finding,) = query_findings(reserved, "market1501")
    assert finding.severity == "error"
    assert "query 0 has identity 0" in finding.meaning
    assert query_findings(reserved, "msmt17") == []
    (finding,) = query_findings(split([(1, 1)], [(1, 2)]), "cloth_changing")
    assert "clothes" in finding.meaning


def test_the_quick_look_has_labels_and_queries() -> None:
    names = [f.name for f in quick(split([(1, 1), (9, 1)], [(1, 2)]), "market1501")]
    assert names == ["identity numbers without an image", "queries without a match, identity not in the gallery"]


def test_one_line_before_training() -> None:
    """The gap between identities 1 and 9 is worth knowing, but nothing to stop at."""
    sick = split([(1, 1), (9, 1)], [(1, 2)])
    assert labels_line(sick, "market1501", "see x") == (
        "queries without a match, identity not in the gallery: 1; see x tells more"
    )
    assert labels_line(split([(1, 1), (9, 1)], [(1, 2), (9, 2)]), "market1501", "see x") == "healthy"


def test_a_set_for_training_alone_is_not_judged() -> None:
    train = tuple(Record(Path(f"{i}.jpg"), pid, i % 2) for i, pid in enumerate([1, 1, 2, 2]))
    assert labels_line(Split("mine", Path(), train, (), ()), "market1501", "x") == "healthy"
