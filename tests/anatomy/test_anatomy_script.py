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


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["backbone=resnet5"], ["backbone=resnet5 is unknown", "resnet50"]),
        (["image.size=[256]"], ["image.size=[256] must be [height,width]"]),
        (["output=/no/folder/x.json"], ["output=/no/folder/x.json must be a JSON file"]),
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
