"""The figures of the lessons against those worked by hand."""

import json
import math
from functools import cache
from itertools import product
from typing import Any

import pytest
import torch

from reid.anatomy.lessons import LESSONS, Lesson, to_markdown, to_text
from reid.anatomy.lessons.pooling import Blur

TIMED = {"ms", "part of time", "GMACs/s"}


@cache
def taught(name: str) -> Lesson:
    return LESSONS[name]()


def column(name: str, heading: str) -> list[Any]:
    return [row[heading] for row in taught(name).table.values()]


@pytest.mark.parametrize("name", LESSONS)
def test_every_lesson_says_what_is_in_it(name: str) -> None:
    lesson = taught(name)
    assert 3 <= len(lesson.rows) <= 8
    assert all(len(row) == len(lesson.columns) for row in lesson.rows)
    assert all(math.isfinite(c) for row in lesson.rows for c in row if not isinstance(c, str))
    for written in (to_text(lesson), to_markdown(lesson)):
        assert all(heading in written for heading in lesson.columns)
        assert all(row[0] in written for row in lesson.rows)
    assert max(map(len, to_text(lesson).splitlines())) < 140
    assert lesson.compares in to_markdown(lesson)
    assert lesson.shows in to_markdown(lesson)
    again = json.loads(json.dumps(lesson.to_dict()))
    assert tuple(map(tuple, again["rows"])) == lesson.rows
    assert (again["title"], again["shows"]) == (lesson.title, lesson.shows)


@pytest.mark.parametrize("name", ["depth", "dilation", "pooling", "separable", "transposed"])
def test_figures_are_the_same_every_time_but_for_the_clock(name: str) -> None:
    before = torch.random.get_rng_state()
    again = LESSONS[name]()
    if name in ("depth", "pooling"):  # the others use up random numbers for weights that do not matter
        assert torch.equal(torch.random.get_rng_state(), before)
    for row, other in zip(taught(name).table.values(), again.table.values(), strict=True):
        assert {k: v for k, v in row.items() if k not in TIMED} == {k: v for k, v in other.items() if k not in TIMED}


def test_table_for_terminal_and_page() -> None:
    lesson = Lesson("T", "C.", "net", {"a": {"MACs": 1234, "part": 0.5}, "bc": {"MACs": 5, "part": 1e-9}}, "S.")
    assert to_text(lesson).split("\n") == [
        "T", "", "C.", "",
        "net   MACs   part",
        "-----------------",
        "a    1,234    0.5",
        "bc       5  1e-09",
        "", "S.",
    ]  # fmt: skip
    assert to_markdown(lesson) == (
        "## T\n\nC.\n\n| net | MACs | part |\n| :-- | --: | --: |\n| a | 1,234 | 0.5 |\n| bc | 5 | 1e-09 |\n\nS.\n"
    )


def test_kernels() -> None:
    weights = [25, 18, 10, 9 + 3 + 3, 49, 27, 14]  # for each pair of channels
    assert column("kernels", "parameters") == [64 * 64 * w for w in weights]
    assert column("kernels", "MACs") == [64 * 32 * 64 * 64 * w for w in weights]
    assert column("kernels", "field") == ["5x5"] * 4 + ["7x7"] * 3
    for ratio in (25 / 18, 25 / 10, 49 / 27):
        assert f"{ratio:.2f} times" in taught("kernels").shows


def test_inception() -> None:
    # Szegedy et al. 2015, table 1, row 3a, with a bias for each channel.
    reduced = (
        (192 + 1) * 64 + (192 + 1) * 96 + (96 * 9 + 1) * 128 + (192 + 1) * 16 + (16 * 25 + 1) * 32 + (192 + 1) * 32
    )
    assert reduced == 163_696
    naive = 192 * (64 + 9 * 128 + 25 * 32) + 64 + 128 + 32
    two = reduced - (16 * 25 + 1) * 32 + (16 * 9 + 1) * 24 + (24 * 9 + 1) * 32
    pairs = (96 * 3 + 1) * 112 + (112 * 3 + 1) * 128 + (16 * 7 + 1) * 24 + (24 * 7 + 1) * 32
    asymmetric = reduced - (16 * 25 + 1) * 32 - (96 * 9 + 1) * 128 + pairs
    assert column("inception", "parameters") == [naive, reduced, two, asymmetric]
    biases = 64 + 96 + 128 + 16 + 32 + 32
    assert column("inception", "MACs at 28x28")[1] == 28 * 28 * (reduced - biases)
    assert column("inception", "MACs at 32x16")[1] == 32 * 16 * (reduced - biases)
    assert column("inception", "channels out") == [64 + 128 + 32 + 192, 256, 256, 256]
    assert column("inception", "widest field") == ["5x5", "5x5", "5x5", "7x7"]


def test_separable() -> None:
    assert column("separable", "parameters")[:5] == [256 * 256 * 9 // g for g in (1, 2, 4, 32, 256)]
    assert column("separable", "parameters")[5:] == [256 * 9 + 256 * 256] * 2
    assert column("separable", "part") == pytest.approx([1, 1 / 2, 1 / 4, 1 / 32, 1 / 256, *[1 / 256 + 1 / 9] * 2])
    assert column("separable", "by formula") == pytest.approx(column("separable", "part"))
    assert all(ms > 0 for ms in column("separable", "ms"))


def test_dilation() -> None:
    stacks = [(1,), (2,), (4,), (1, 1, 1), (2, 2, 2), (1, 2, 4)]
    fields = [1 + 2 * sum(stack) for stack in stacks]
    assert fields == [3, 5, 9, 7, 13, 15]
    assert column("dilation", "field") == [f"{f}x{f}" for f in fields]
    assert column("dilation", "output") == [f"{33 - f}x{33 - f}" for f in fields]
    assert column("dilation", "parameters") == [16 * 16 * 9 * len(stack) for stack in stacks]
    # Along one axis a layer adds -d, 0 or d.
    seen = [len({sum(steps) for steps in product(*((-d, 0, d) for d in stack))}) for stack in stacks]
    assert column("dilation", "pixels seen") == [n * n for n in seen]
    assert column("dilation", "pixels in it") == [f * f for f in fields]


def test_stride() -> None:
    assert column("stride", "last map") == ["8x4", "16x8", "16x8"]
    assert column("stride", "field") == ["427x427", "363x363", "427x427"]
    assert set(column("stride", "parameters")) == {25_557_032 - 2048 * 1000 - 1000}
    # All but the first convolution of the last stage work on four times as many positions.
    first = 512 * 512 * 9 + 512 * 2048 + 1024 * 2048
    others = 2 * (2048 * 512 + 512 * 512 * 9 + 512 * 2048)
    two, one, dilated = column("stride", "MACs")
    assert one - two == dilated - two == (first + others) * (16 * 8 - 8 * 4)
    memory = column("stride", "training MiB")
    assert memory[0] < memory[1] == memory[2]


def test_transposed() -> None:
    assert column("transposed", "output") == ["32x16", "31x15", "32x16", "32x16", "32x16"]
    for calculation, out in zip(column("transposed", "height by formula"), column("transposed", "output"), strict=True):
        left, right = calculation.split(" = ")
        assert str(eval(left)) == right == out.split("x")[0]
    assert column("transposed", "MACs")[:4] == [16 * 8 * 64 * 64 * k * k for k in (2, 3, 3, 4)]
    assert column("transposed", "MACs")[4] == 32 * 16 * 64 * 64 * 9
    # Of a kernel of 3 every other pixel gets one tap along an axis, the rest two.
    assert column("transposed", "fewest taps") == [1, 1, 1, 4, 9]
    assert column("transposed", "most taps") == [1, 4, 4, 4, 9]


def test_output_size() -> None:
    assert column("output_size", "came out") == [128, 55, 3, 16, 8, 64, 55, 56]
    assert column("output_size", "formula") == column("output_size", "came out")
    worked = [eval(c, {"floor": math.floor, "ceil": math.ceil}) for c in column("output_size", "calculation")]
    assert worked == column("output_size", "came out")
    assert "8 of 8 cases" in taught("output_size").shows


def test_sharing() -> None:
    small, large = 128 * 64, 192 * 96
    conv = (3 * 49 + 1) * 64
    full = [3 * 4 * n * 64 * n + 64 * n for n in (small, large)]  # the image has four times as many pixels
    assert column("sharing", "parameters") == [conv, small * conv, full[0], conv, large * conv, full[1]]
    assert column("sharing", "MACs")[:3] == [small * 3 * 49 * 64] * 2 + [3 * 4 * small * 64 * small]


def test_pooling() -> None:
    table = taught("pooling").table
    assert table["convolution 3/2"]["parameters"] == 32 * 32 * 9
    assert table["convolution 3/2"]["MACs"] == 32 * 16 * 32 * 32 * 9
    assert table["max, then blur/2 (Zhang)"]["MACs"] == 32 * 16 * 32 * 9
    assert table["GeM"]["parameters"] == 1  # p
    assert {row["output"] for row in table.values()} == {"32x64x32", "32x32x16", "32x1x1", "32"}
    once = {name: row["shift 1"] for name, row in table.items()}
    assert once["max 2/2"] < once["max 3/2 (AlexNet)"] < once["max, then blur/2 (Zhang)"] < once["global average"]
    assert all(row["shift 1"] > row["shift 2"] > row["shift 4"] for row in table.values())


def test_blur_lets_no_pixel_fall_through() -> None:
    flat = Blur()(torch.ones(1, 2, 9, 9))[..., 1:-1, 1:-1]
    assert torch.equal(flat, torch.ones(1, 2, 3, 3))
    chequered = (torch.arange(9).view(-1, 1) + torch.arange(9)).remainder(2).float()
    assert torch.equal(Blur()(chequered[None, None])[..., 1:-1, 1:-1], torch.full((1, 1, 3, 3), 0.5))


def test_depth() -> None:
    depths = [2, 4, 8, 16, 32]
    assert column("depth", "field") == [2 * n + 1 for n in depths]
    assert column("depth", "parameters") == [9 * (3 * 16 + 16 * 16 * (n - 1)) for n in depths]
    # Squared gradients of random weights spread as a random walk whose steps -1, 0, 1 have variance 2/3, so |gradient|
    # is a Gaussian of variance 4n/3. 95 % of it lie in a circle of radius sqrt(-2 ln 0.05) deviations.
    for layers in (16, 32):
        side = math.sqrt(math.pi * -2 * math.log(0.05) * 4 * layers / 3)
        assert taught("depth").table[str(layers)]["effective"] == pytest.approx(side, rel=0.1)
    assert column("depth", "part %") == sorted(column("depth", "part %"), reverse=True)
    assert all(b < a for a, b in zip(column("depth", "effective"), column("depth", "effective, skips"), strict=True))
    # PyTorch's weights have a variance of 1 / (3 inputs) and ReLU halves the square: a sixth is left a layer.
    plain, skips, he = (column("depth", f"gradient{x}") for x in ("", ", skips", ", He"))
    assert math.log10(plain[0] / plain[-1]) == pytest.approx(15 * math.log10(6), abs=2)
    assert he[0] / he[-1] < 100
    assert skips[-1] > skips[0]


def test_alexnet() -> None:
    outputs, taps, positions = [96, 256, 384, 384, 256], [121, 25, 9, 9, 9], [55**2, 27**2, 13**2, 13**2, 13**2]
    weights = [i * t * o for i, t, o in zip([3, 48, 256, 192, 192], taps, outputs, strict=True)]
    parameters = [w + o for w, o in zip(weights, outputs, strict=True)]
    single = [i * t * o + o for i, t, o in zip([3, 96, 256, 384, 384], taps, outputs, strict=True)]
    macs = [w * n for w, n in zip(weights, positions, strict=True)]
    assert column("alexnet", "parameters") == [*parameters, sum(parameters)]
    assert column("alexnet", "with one group") == [*single, sum(single)]
    assert column("alexnet", "MACs") == [*macs, sum(macs)]
    assert column("alexnet", "MACs with one group")[1] == 2 * macs[1]


def test_zfnet() -> None:
    assert column("zfnet", "first window") == ["11/4", "7/2"] * 2
    assert column("zfnet", "first map") == ["55x55", "110x110", "62x30", "126x62"]
    assert column("zfnet", "last map")[:2] == ["6x6", "6x6"]
    # 7, then pooling 2 * 2, 5x5 4 * 4, pooling 2 * 8, three 3x3 2 * 16 each, pooling 2 * 16
    assert column("zfnet", "field") == ["195x195", f"{7 + 4 + 16 + 16 + 3 * 32 + 32}x171"] * 2
    assert column("zfnet", "its parameters")[1] == (3 * 49 + 1) * 96
