"""The page about one network, against numbers worked by hand."""

import base64
import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report.networks import convolution, field, network, relu, share, unmeasured
from report.pages import HOSTILE, Reader

from reid.report.anatomy_page import anatomy_page
from reid.report.effective_picture import SCALE, colour, effect_box, theory_box


def page(found: dict[str, Any], title: str = "a network", weights: str = "from scratch") -> str:
    return anatomy_page(found, title=title, weights=weights)


def test_every_number_is_shown() -> None:
    text = Reader(page(network())).text
    for expected in (
        "216", "1.73 k", "1,728", "128", "3 × 3", "8 × 4", "28.1%", "3.0 MiB", "5.0 MiB", "2.5 ms", "400.0", "2,000.0",
        "0.50", "16.00", "from scratch", "9 pixels", "100.0% of that field", "0.9135, at 8 pixels", "0.7753",
        "0.9864 at 8 pixels", "8 × 4 × 2", "cpu",
    ):  # fmt: skip
        assert expected in text, expected
    assert "nan" not in text.lower()
    assert "None" not in text


def test_it_asks_for_nothing_from_outside() -> None:
    text = page(network())
    found = Reader(text)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"base64,[^\"]*", "", text))
    assert {tag for tag, _ in found.tags}.isdisjoint({"script", "link", "iframe", "object", "base", "form"})
    assert all(str(image["src"]).startswith("data:image/png;base64,") for image in found.all("img"))
    assert any("default-src 'none'" in str(meta.get("content")) for meta in found.all("meta"))


def test_hostile_text_stays_text() -> None:
    layers = [convolution(name=HOSTILE, type=HOSTILE), relu(name=HOSTILE, type=HOSTILE, field=None, why=HOSTILE)]
    last = {**network()["last_map"], "name": HOSTILE}
    shares = [share(HOSTILE, of_parameters=1.0)]
    hostile = network(
        network=HOSTILE, device=HOSTILE, layers=layers, notes=[HOSTILE], last_map=last, shares=shares
    )  # fmt: skip
    found = Reader(page(hostile, title=HOSTILE, weights=HOSTILE))
    assert not found.all("script")
    assert len(found.all("img")) == 1
    assert found.text.count("alert(1)") >= 10


def test_only_an_output_of_another_size_is_marked() -> None:
    right = page(network())
    assert 'tr class="differs"' not in right
    assert "Every map has the size that the formula gives." in right
    assert "= 4 × 2" in right
    wrong = page(network(layers=[convolution(expected=[3, 1], differs=True), relu()]))
    assert wrong.count('<tr class="differs">') == 1
    assert "≠ 3 × 1" in wrong
    assert "1 map has another size" in wrong


@pytest.mark.parametrize(
    "found",
    [
        unmeasured(),
        unmeasured(layers=[], shares=[], parameters=0, macs=0, counted_macs=0, activations=0),
        network(size=[2, 8], effective={**network()["effective"], "map": [0.125] * 8, "unit": [2], "of_field": None}),
        network(last_map={**network()["last_map"], "field": None, "why": "unknown"}),
    ],
    ids=["meta", "empty", "signal", "no field"],
)
def test_what_is_not_known_is_a_dash_or_absent(found: dict[str, Any]) -> None:
    text = Reader(page(found)).text
    assert "nan" not in text.lower()
    assert "None" not in text


def test_meta_network_has_dashes_and_its_note() -> None:
    text = Reader(page(unmeasured())).text
    assert "nothing is measured" in text
    assert "not measured" in text
    for heading in ("What a unit sees", "A shifted picture", "Median forward pass"):
        assert heading not in text


def test_a_field_beyond_local_paths() -> None:
    everywhere = {"size": [None, None], "jump": [None, None], "start": [None, None], "whole": [True] * 2}
    attended = relu(name="attention", field={**everywhere, "global": True})
    text = Reader(page(network(layers=[convolution(), attended]))).text
    assert "From attention on (ReLU), a unit sees the whole image too." in text
    assert "later layers see all of it" in text
    gated = {**network()["last_map"], "field": field(3, 2, whole=True)}
    assert "3 × 3 on local paths" in Reader(page(network(last_map=gated))).text
    larger = {**network()["last_map"], "field": field(11, 2, whole=True)}
    assert "which it sees as a whole too" in Reader(page(network(last_map=larger))).text
    last = {**network()["last_map"], "field": {**everywhere, "global": True}}
    whole = Reader(page(network(layers=[attended], last_map=last)))
    assert "whole image" in whole.text
    assert not [r for r in whole.all("rect") if r.get("class") == "theory"]


def test_saved_by_grouping() -> None:
    grouped = share("depthwise", parameters=216, standard_parameters=864, of_parameters=1.0)
    text = Reader(page(network(shares=[grouped]))).text
    assert "864 parameters: grouping and factorising save 648 of them, 75.0%" in text


def test_widths_of_a_bar_are_the_shares() -> None:
    shares = [share("1x1", of_activations=0.25), share("linear", of_activations=0.75)]
    pieces = re.findall(r'<i class="k-([^"]+)" style="flex:([\d.]+)"', page(network(shares=shares)))
    assert pieces == [("1x1", "0.25000"), ("linear", "0.75000")]


def test_boxes_by_hand() -> None:
    # The unit's centre is 2 * 2 = pixel 4 and 1 * 2 = pixel 2, so a field of 3 begins one pixel before each.
    assert theory_box(field(3, 2), [2, 1], 8, 4) == (1.0, 3.0, 3.0, 3.0)
    assert theory_box(field(11, 2), [2, 1], 8, 4) == (-3.0, -1.0, 11.0, 11.0)
    shares = np.zeros((10, 10))
    shares[2:7, 4] = [0.02, 0.48, 0.2, 0.28, 0.02]  # rows 3..5 hold 0.96
    assert effect_box(shares) == (4.0, 3.0, 1.0, 3.0)


def test_rectangles_are_drawn_where_the_boxes_are() -> None:
    drawn = [r for r in Reader(page(network())).all("rect") if r.get("class") in ("theory", "effect")]
    places = [(r["class"], r["x"], r["y"], r["width"], r["height"]) for r in drawn]
    assert places[:2] == [("theory", "1", "3", "3", "3"), ("effect", "1", "3", "3", "3")]


def test_heat_map_has_a_pixel_for_each_and_stays_small() -> None:
    def picture(rows: int, columns: int) -> Image.Image:
        shares = np.random.default_rng(0).random((rows, columns))
        effective = {**network()["effective"], "map": (shares / shares.sum()).tolist(), "unit": [0, 0]}
        text = page(network(size=[3, rows, columns], effective=effective))
        source = str(Reader(text).all("img")[0]["src"])
        assert len(source) < 70_000
        return Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))

    assert picture(256, 128).size == (128, 256)
    assert picture(600, 300).size == (100, 200)  # blocks of 3
    exact = Image.open(io.BytesIO(base64.b64decode(str(Reader(page(network())).all("img")[0]["src"])[22:])))
    pixels = np.asarray(exact.convert("RGB"))
    assert tuple(pixels[4, 2]) == SCALE[-1]
    assert tuple(pixels[0, 0]) == SCALE[0]


def test_the_scale_grows_lighter_all_the_way() -> None:
    # Luminance of Rec. 709, so that it reads in grey and for who sees few colours.
    light = [np.dot((0.2126, 0.7152, 0.0722), colour(place)) for place in np.linspace(0, 1, 64)]
    assert (np.diff(light) > 0).all()
