"""scripts/anatomy.py as a student runs it."""

import json
from pathlib import Path

import pytest
from cli.entry import in_process


def test_a_course_network_is_taken_apart(tmp_path: Path) -> None:
    out = tmp_path / "alexnet.json"
    asked = ["backbone=alexnet", "backbone.pretrained=false", "image.size=[224,224]", f"output={out}"]
    text = in_process("scripts/anatomy.py", *asked).check().out
    found = json.loads(out.read_text())
    first = found["layers"][0]
    assert first["window"]["kernel"] == [11, 11]
    assert first["output"][-2:] == [(224 + 2 * 2 - 11) // 4 + 1] * 2  # the course's formula
    assert found["last_map"]["field"]["size"] == [195, 195]  # the published figure
    assert "features.12" in text
    assert str(out) in text


def test_a_page_of_one_network(tmp_path: Path) -> None:
    page = tmp_path / "vit.html"
    asked = ["backbone=timm", "backbone.name=test_vit", "backbone.pretrained=false", "image.size=[64,32]"]
    in_process("scripts/anatomy.py", *asked, f"output={page}").check()
    assert "test_vit" in page.read_text()
    assert "http:" not in page.read_text()
    assert "https:" not in page.read_text()


def test_networks_side_by_side(tmp_path: Path) -> None:
    told = tmp_path / "table.md"
    asked = ["compare=[alexnet,resnet18]", "backbone.pretrained=false", "image.size=[64,64]", f"output={told}"]
    text = in_process("scripts/anatomy.py", *asked, f"run_root={tmp_path}").check().out
    rows = [
        [cell.strip(" *") for cell in line.split("|")[1:-1]] for line in told.read_text().splitlines() if "|" in line
    ]
    table = {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]}
    assert list(table) == ["alexnet", "resnet18"]
    assert table["alexnet"]["parameters"] == "2.47 M"  # 61,100,840 less the three fully connected layers
    assert table["resnet18"]["parameters"] == "11.2 M"
    assert {name: row["field"] for name, row in table.items()} == {
        "alexnet": "195 × 195",
        "resnet18": "339 × 339",
    }  # last_stride=1
    assert "resnet18" in text


@pytest.mark.parametrize(("kind", "start"), [("json", "{"), ("md", "## ")])
def test_a_lesson(tmp_path: Path, kind: str, start: str) -> None:
    told = tmp_path / f"lesson.{kind}"
    text = in_process("scripts/anatomy.py", "lesson=kernels", f"output={told}").check().out
    assert "102,400" in text  # 5x5, 64 channels to 64
    assert told.read_text().startswith(start)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["lesson=incption"], ["lesson=incption is unknown", "did you mean inception"]),
        (["lesson=kernels", "backbone=vgg16"], ["lesson=kernels builds its own networks; leave out backbone"]),
        (["compare=resnet18"], ["compare=resnet18 must name the backbones"]),
        (["compare=[resnet18,resnet5]"], ["backbone=resnet5 is unknown", "did you mean resnet50"]),
        (["compare=[resnet18]", "output=/x.txt"], ["output=/x.txt must be a .html or .md or .json file"]),
        (["backbone=resnet5"], ["backbone=resnet5 is unknown", "resnet50"]),
        (["image.size=[256]"], ["image.size=[256] must be [height,width]"]),
        (["output=/no/folder/x.json"], ["output=/no/folder/x.json must be a .html or .json file"]),
        (["image.sizes=[2,2]"], ["unknown config key 'image.sizes'", "python scripts/anatomy.py --help"]),
        (
            ["backbone=vgg16", "backbone.pretrained=false", "image.size=[16,8]"],
            ["3 x 16 x 8 is too small", "features.23"],
        ),
    ],
)
def test_a_slip_is_one_line(asked: list[str], says: list[str]) -> None:
    outcome = in_process("scripts/anatomy.py", *asked)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    for part in says:
        assert part in outcome.err
