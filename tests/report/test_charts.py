import re

import numpy as np
import pytest

from reid.report.charts import Series, line_chart, ticks

NAN = float("nan")


def draw(*lines: tuple[str, list[float]], fraction: bool = False) -> str:
    series = [Series(name, np.arange(1.0, len(y) + 1), np.array(y)) for name, y in lines]
    return line_chart("Loss", series, x_label="epoch", fraction=fraction)


def paths(chart: str, css: str = "line") -> list[str]:
    return re.findall(rf'<path class="{css} s\d" d="([^"]*)"/>', chart)


def labels(chart: str, axis: str) -> list[str]:
    return re.findall(rf'<span class="{axis}" style="[^"]*">([^<]*)</span>', chart)


def test_points_land_where_the_axes_say() -> None:
    # values 0..4 over epochs 1..3 with labels 0 to 4: 1 of 4 is three quarters down from the top
    chart = draw(("loss", [4.0, 1.0, 0.0]))
    assert labels(chart, "y") == ["0", "1", "2", "3", "4"]
    assert labels(chart, "x") == ["1", "2", "3"]
    assert paths(chart) == ["M0.00 0.00L50.00 75.00L100.00 100.00"]


def test_a_nan_breaks_the_line() -> None:
    (path,) = paths(draw(("loss", [4.0, 2.0, NAN, 2.0, 0.0])))
    assert path == "M0.00 0.00L25.00 50.00M75.00 50.00L100.00 100.00"


def test_a_point_between_gaps_is_a_dot() -> None:
    (path,) = paths(draw(("loss", [4.0, NAN, 2.0, NAN, 0.0])))
    assert path == "M0.00 0.00h0M50.00 50.00h0M100.00 100.00h0"


@pytest.mark.parametrize("value", [0.7, 0.0, -3.0, 1e-300, 1e250])
def test_one_point(value: float) -> None:
    chart = draw(("loss", [value]))
    (path,) = paths(chart)
    x, y = re.fullmatch(r"M(\S+) (\S+)h0", path).groups()  # type: ignore[union-attr]
    assert float(x) == 50
    assert 0 <= float(y) <= 100
    assert "nan" not in chart
    assert "inf" not in chart


@pytest.mark.parametrize("lines", [[], [("loss", [])], [("loss", [NAN, float("inf"), -float("inf"), 1e305])]])
def test_nothing_to_draw_is_said(lines: list[tuple[str, list[float]]]) -> None:
    chart = draw(*lines)
    assert "No values were recorded" in chart
    assert "<svg" not in chart


def test_infinities_do_not_stretch_the_axis() -> None:
    assert labels(draw(("loss", [4.0, float("inf"), 0.0])), "y")[-1] == "4"


def test_a_fraction_stops_at_one() -> None:
    assert labels(draw(("mAP", [0.5, 1.0]), fraction=True), "y")[-1] == "1"
    assert labels(draw(("mAP", [1.0, 1.0]), fraction=True), "y")[-1] == "1"


def test_legend_names_each_line_and_its_last_value() -> None:
    chart = draw(("loss", [4.0, 1.5]), ("<triplet>", [0.5, NAN]))
    assert re.findall(r"<li class=\"s(\d)\">([^<]*) <b>([^<]*)</b></li>", chart) == [
        ("0", "loss", "1.5"),
        ("1", "&lt;triplet&gt;", "0.5"),
    ]


def test_a_strip_for_each_epoch_lists_all_lines() -> None:
    chart = draw(("loss", [4.0, 1.5, 1.0]), ("triplet", [0.5, NAN, 0.25]))
    titles = re.findall(r"<title>([^<]*)</title>", chart)
    assert titles == ["epoch 1\nloss  4\ntriplet  0.5", "epoch 2\nloss  1.5", "epoch 3\nloss  1\ntriplet  0.25"]
    widths = [float(width) for width in re.findall(r' width="([^"]*)" height="100"', chart)]
    assert widths == [25, 50, 25]


def test_a_long_log_stays_light() -> None:
    assert len(draw(("loss", list(np.linspace(4, 0, 5000))))) < 120_000


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2.5, 5, 7.5, 10]),
        (0.62, 0.98, [0.6, 0.7, 0.8, 0.9, 1.0]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0, 3.5e-4, [0, 1e-4, 2e-4, 3e-4, 4e-4]),
    ],
)
def test_ticks_are_round_and_cover(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 4) == pytest.approx(expected)


@pytest.mark.parametrize(("low", "high"), [(1, 2), (1, 3), (1, 15), (0, 119), (1, 1)])
def test_whole_ticks(low: int, high: int) -> None:
    found = ticks(low, high, 6, whole=True)
    assert all(value == int(value) for value in found)
    assert found[0] <= low
    assert found[-1] >= high
    assert len(found) <= 9


def test_ticks_survive_any_range() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        low, high = sorted(rng.normal(size=2) * 10.0 ** rng.integers(-150, 150))
        found = ticks(low, high, 4)
        assert 2 <= len(found) <= 8
        assert found[0] <= low + 1e-9 * abs(high - low)
        assert found[-1] >= high - 1e-9 * abs(high - low)


def test_a_fraction_above_one_is_drawn_all_the_same() -> None:
    (path,) = paths(draw(("mAP", [84.0, 85.0]), fraction=True))
    assert "nan" not in path
