"""The picture of ranked results."""

from pathlib import Path

import pytest
from PIL import Image
from report.pages import ranking

from reid.report import save_ranking_png


def test_ranking_png(tmp_path: Path, picture: Path) -> None:
    queries = ranking(picture, queries=2, gallery=3) + ranking(tmp_path / "gone.jpg", queries=1)
    save_ranking_png(tmp_path / "deep" / "ranking.png", queries, columns=4)
    save_ranking_png(tmp_path / "ten.png", queries)
    with Image.open(tmp_path / "deep" / "ranking.png") as narrow, Image.open(tmp_path / "ten.png") as wide:
        assert narrow.format == "PNG"
        assert narrow.height == wide.height
        assert narrow.width < wide.width
        colours = {colour for _, colour in wide.convert("RGB").getcolors(1 << 24) or []}
    assert {(0x17, 0x82, 0x4A), (0xCC, 0x33, 0x33)} <= colours


@pytest.mark.parametrize(("count", "columns"), [(0, 10), (1, 0)])
def test_ranking_png_of_nothing(tmp_path: Path, count: int, columns: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        save_ranking_png(tmp_path / "ranking.png", ranking("x.jpg", queries=count), columns)
