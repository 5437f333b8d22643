"""Pages of a run written with numbers of choice, and a reader of them."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from reid.report import RankedImage, RankedQuery, write_report

VOID = {"meta", "br", "img", "link", "hr", "input"}
HOSTILE = "</title><script>alert(1)</script><img src=\"https://evil.example/x\" onerror='x()'>&amp;"
METRICS: dict[str, object] = {
    "mAP": 0.84321,
    "rank-1": 0.93616,
    "rank-5": 0.9775,
    "rank-10": 0.98604,
    "rank-20": 0.993,
    "mINP": 0.6104,
    "protocol": "market1501 | same camera left out | cosine",
    "queries": 3368,
    "queries_without_match": 17,
    "feature": "after BNNeck",
    "model": "best validation mAP (epoch 12)",
    "split": "test",
}


class Reader(HTMLParser):
    """Fails on a tag closed out of turn; remembers tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def ranking(path: Path | str, queries: int = 3, gallery: int = 12) -> list[RankedQuery]:
    groups = ["best", "median", "worst"]
    return [
        RankedQuery(
            path,
            pid=500 + index,
            camid=3,
            ap=0.4567,
            group=groups[index % 3],
            gallery=[
                RankedImage(path, 700 + rank, 1 + rank % 6, rank, rank % 2 == 0) for rank in range(1, gallery + 1)
            ],
        )
        for index in range(queries)
    ]


def arguments(**changes: Any) -> dict[str, Any]:
    log = [
        {"epoch": str(epoch), "loss": str(3 / epoch), "triplet": str(1 / epoch), "lr": "0.00035", "val_mAP": ""}
        for epoch in range(1, 16)
    ]
    return {
        "title": "market1501, resnet50",
        "summary": {"Net": "resnet50", "Commit": "a1b2c3d"},
        "metrics": METRICS,
        "cmc": np.linspace(0.9362, 1, 100),
        "log": log,
        "ranked": [],
        "config": "seed: 1\n",
        **changes,
    }


def write(folder: Path, **changes: Any) -> str:
    path = folder / "report.html"
    write_report(path, **arguments(**changes))
    return path.read_text(encoding="utf-8")
