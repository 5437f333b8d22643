import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reid.data.attributes import read_attributes
from reid.errors import UserError


def matlab(file: Path, name: str, test: dict[str, list[int]]) -> Path:
    """As published: a struct with train and test, each with a row of codes an attribute and a cell of identities."""
    io = pytest.importorskip("scipy.io", reason="scipy is not installed: pip install scipy")
    people: dict[str, Any] = {key: np.array([codes]) for key, codes in test.items() if key != "image_index"}
    people["image_index"] = np.array([[f"{pid:04d}" for pid in test["image_index"]]], dtype=object)
    train = {"gender": np.array([[1]]), "image_index": np.array([["0009"]], dtype=object)}
    io.savemat(file, {name: {"train": train, "test": people}})
    return file


def test_the_published_files_are_read_with_their_words(tmp_path: Path) -> None:
    codes = {"age": [2, 4, 2], "gender": [1, 2, 2], "upblack": [2, 1, 1], "clothes": [2, 2, 1]}
    file = matlab(tmp_path / "market_attribute.mat", "market_attribute", {**codes, "image_index": [1, 3, 1500]})
    found = read_attributes(file)
    assert found["age"] == {"young": set(), "teenager": {1, 1500}, "adult": set(), "old": {3}}
    assert found["gender"] == {"male": {1}, "female": {3, 1500}}
    assert found["upblack"] == {"no": {3, 1500}, "yes": {1}}
    assert found["clothes"] == {"dress": {1500}, "pants": {1, 3}}
    assert set(found) == set(codes)
    duke = {"top": [1, 2], "shoes": [2, 1], "boots": [1, 2], "image_index": [5, 6]}
    found = read_attributes(str(matlab(tmp_path / "duke_attribute.MAT", "duke_attribute", duke)))
    assert found["top"] == {"short": {5}, "long": {6}}
    assert found["shoes"] == {"dark": {6}, "light": {5}}
    assert found["boots"] == {"no": {5}, "yes": {6}}


def test_a_table_of_your_own(tmp_path: Path) -> None:
    (tmp_path / "who.csv").write_text(
        '\ufeffrole, pid ,height\nnurse,7,tall\n\n"visitor, child",-1,\nnurse,0012,tall\n'
    )
    assert read_attributes(tmp_path / "who.csv") == {
        "role": {"nurse": {7, 12}, "visitor, child": {-1}},
        "height": {"tall": {7, 12}},
    }


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", b"", "eval.attributes=.*x.csv has no column pid"),
        ("x.csv", b"person,hat\n1,yes\n", "has no column pid"),
        ("x.csv", b"pid,hat\n1,yes\nanna,no\n", "x.csv, line 3: pid=anna must be a whole number, as the set numbers"),
        ("x.csv", b"pid,hat\n1,yes\n1,no\n", "x.csv, line 3: pid 1 has a line already"),
        ("x.csv", b"pid,hat\n1,yes,no\n", "x.csv, line 2: 3 values, but the first line names 2"),
        ("x.csv", b"pid,hat\n1,\xff\n", "is not text in UTF-8"),
        ("x.csv", b'pid,hat\n1,"yes\n', "x.csv, line 2: unexpected end of data"),
        ("x.txt", b"pid,hat\n", "x.txt must be a .csv or .mat file"),
        ("x.mat", b"pid,hat\n", "x.mat is not a .mat file of attributes like market_attribute.mat|pip install scipy"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says):
        read_attributes(tmp_path / name)
    with pytest.raises(UserError, match="none.csv: no such file"):
        read_attributes(tmp_path / "none.csv")


def test_another_mat_file_is_refused(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io", reason="scipy is not installed: pip install scipy")
    io.savemat(tmp_path / "x.mat", {"a": np.eye(2)})
    with pytest.raises(UserError, match="x.mat is not a .mat file of attributes"):
        read_attributes(tmp_path / "x.mat")
    matlab(tmp_path / "y.mat", "y", {"hat": [1, 2, 1], "image_index": [1, 2]})
    with pytest.raises(UserError, match="y.mat is not a .mat file of attributes"):
        read_attributes(tmp_path / "y.mat")


def test_without_scipy_the_command_that_installs_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    (tmp_path / "market_attribute.mat").write_bytes(b"")
    with pytest.raises(UserError, match="market_attribute.mat is read by scipy, .* pip install scipy$"):
        read_attributes(tmp_path / "market_attribute.mat")
