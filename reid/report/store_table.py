"""The stores of decoded images in the terminal."""

import time
from collections.abc import Sequence

from reid.data.room import spelled
from reid.data.stores import Store
from reid.report.text import DASH


def store_table(stores: Sequence[Store], folder: str) -> str:
    """One line a store and their sum; ``folder`` is where they are."""
    if not stores:
        return f"no image stores in {folder}"
    rows = [("name", "images", "size", "last used", "state")]
    rows += [
        (
            s.name,
            DASH if s.images is None else f"{s.images:,}",
            spelled(s.size),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(s.used)),
            s.state,
        )
        for s in stores
    ]
    wide = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        f"{name:<{wide[0]}}  {images:>{wide[1]}}  {size:>{wide[2]}}  {used:<{wide[3]}}  {state}"
        for name, images, size, used, state in rows
    ]
    count = f"{len(stores)} store{'s' * (len(stores) > 1)}"
    return "\n".join([*lines, f"{count} in {folder}, {spelled(sum(s.size for s in stores))}"])
