"""The course notebook: its commands exist, its two languages agree, and its counts are what the lessons give now."""

import ast
import inspect
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from reid.anatomy.lessons import LESSONS, to_markdown

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("course.md", "course.zh.md"))
CONCEPTS = [
    "output-size", "standard", "one-by-one", "grouped", "depthwise", "dilated", "transposed", "asymmetric",
    "weight-sharing", "pooling", "receptive-field", "effective-receptive-field", "translation-invariance", "depth",
    "alexnet", "zfnet", "vgg", "inception-v1", "inception-v2", "inception-v3", "resnet", "densenet", "reid-image",
    "last-stride", "embedding", "bnneck", "losses", "ibn", "osnet",
]  # fmt: skip
COUNTED = ["output_size", "sharing", "kernels", "dilation", "transposed", "alexnet", "zfnet", "inception"]
FEWEST_ROWS = 3


def commands(text: str) -> list[str]:
    return [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]


def tables(text: str) -> list[list[list[str]]]:
    """Cells of every table, its heading first."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    split = [[[c.strip() for c in line[1:-1].split("|")] for line in table.splitlines()] for table in found]
    return [[table[0], *table[2:]] for table in split]


def sections(text: str) -> list[str]:
    return re.split(r"^### ", text, flags=re.MULTILINE)[1:]


@cache
def taught(name: str) -> dict[str, dict[str, str]]:
    """Row -> heading -> cell of the lesson as it is now."""
    (heading, *rows), *_ = tables(to_markdown(LESSONS[name]()))
    return {row[0]: dict(zip(heading, row, strict=True)) for row in rows}


@pytest.mark.parametrize("command", dict.fromkeys(commands(ENGLISH)))
def test_commands_exist(command: str) -> None:
    python, script, *overrides = shlex.split(command)
    assert python == "python"
    if script == "-c":
        for call in (node for node in ast.walk(ast.parse(overrides[0])) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Subscript):
                arguments = inspect.signature(LESSONS[ast.literal_eval(call.func.slice)]).parameters
                assert {keyword.arg for keyword in call.keywords} <= set(arguments)
        return
    assert (ROOT / script).is_file()
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg = compose(Path(script).stem, overrides=overrides)  # refuses unknown options and keys
    assert cfg.get("lesson") in (None, *LESSONS)


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_every_concept_has_a_heading_and_a_link(text: str) -> None:
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert [name for line in headings for name in re.findall(r'id="([^"]+)"', line)] == CONCEPTS
    assert re.findall(r"\]\(#([\w-]+)\)", text.split("\n## ")[0]) == CONCEPTS
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) == set(CONCEPTS)


def test_both_languages_have_the_same_commands_and_numbers() -> None:
    assert commands(ENGLISH) == commands(CHINESE)
    ours, theirs = ([tables(section) for section in sections(text)] for text in (ENGLISH, CHINESE))
    for mine, other in zip(ours, theirs, strict=True):
        assert [[row[1:] for row in t[1:]] for t in mine] == [[row[1:] for row in t[1:]] for t in other]


@pytest.mark.parametrize("name", COUNTED)
def test_counts_are_those_of_the_lesson(name: str) -> None:
    (section,) = [s for s in sections(ENGLISH) if commands(s) and commands(s)[0].endswith(f" lesson={name}")]
    ((heading, *rows),) = tables(section)
    assert len(rows) >= FEWEST_ROWS
    for row in rows:
        now = taught(name)[row[0]]
        assert row == [now[column] for column in heading]
