"""Backbones trained one after the other, each by train.py in a process of its own, and one table of them.

The folder of a tour holds ``tour.json`` (options and rows), ``tour.csv``, ``tour.md``, and for each network
``<name>/log.txt``, all that train.py printed, beside its runs.
"""

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from reid import files
from reid.errors import UserError
from reid.report.text import DASH, percent
from reid.runs.folder import RunFolder

TRAIN = Path(__file__).parents[2] / "train.py"
COLUMNS = ("network", "params, M", "mAP", "rank-1", "images/s", "seconds", "")


@dataclass(frozen=True)
class Row:
    """What became of one network. ``mAP`` and ``rank_1`` are fractions, ``parameters`` millions with the classifier,
    ``images_per_s`` of the training steps, ``seconds`` of the whole command; ``failed`` is why there are no numbers."""

    network: str
    seconds: float
    parameters: float | None = None
    mAP: float | None = None  # noqa: N815
    rank_1: float | None = None
    images_per_s: float | None = None
    run: str | None = None
    failed: str | None = None

    @property
    def complete(self) -> bool:
        return self.run is not None and (Path(self.run) / "metrics.json").is_file()

    def cells(self) -> tuple[str, ...]:
        """As the table shows it, in the order of ``COLUMNS``."""
        return (
            self.network,
            DASH if self.parameters is None else f"{self.parameters:.1f}",
            percent(self.mAP),
            percent(self.rank_1),
            DASH if self.images_per_s is None else f"{self.images_per_s:.0f}",
            f"{self.seconds:.0f}",
            f"failed: {self.failed}" if self.failed else "",
        )


def tour(
    folder: Path,
    options: Mapping[str, Sequence[str]],
    tell: Callable[[str], None] = print,
) -> list[Row]:
    """Train every network that has no numbers in ``folder`` yet; one that fails leaves a row that says why.

    Args:
        folder: of the tour. It is written after every network, so that the next call goes on where this one stopped.
        options: the overrides of train.py for each network, by its name.
        tell: is given each line for the user.

    Raises:
        UserError: ``folder`` holds a tour with other options, or cannot be written.
    """
    rows = {name: row for name, row in _earlier(folder, options).items() if row.complete}
    skipped = [name for name in options if name in rows]
    if skipped:
        tell(f"{folder}: {len(skipped)} of {len(options)} are there already, going on with the others")
    done = {}
    for place, name in enumerate(options, 1):
        row = rows.get(name) or train_one(folder / name, name, options[name])
        done[name] = row
        _write(folder, options, list(done.values()) + [r for n, r in rows.items() if n not in done])
        tell(f"[{place}/{len(options)}] {'  '.join(row.cells()).rstrip()}")
    return list(done.values())


def train_one(folder: Path, name: str, options: Sequence[str]) -> Row:
    """Run train.py with ``options``; its output goes to ``folder``/log.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        command = [sys.executable, str(TRAIN), *options]
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
    seconds = time.perf_counter() - begin
    if code:
        return Row(name, seconds, failed=reason((folder / "log.txt").read_text(errors="replace"), code))
    run = RunFolder.newest(folder)
    numbers = json.loads(run.metrics.read_text())
    return Row(
        name,
        seconds,
        parameters=numbers["parameters"] / 1e6,
        mAP=numbers["mAP"],
        rank_1=numbers["rank-1"],
        images_per_s=_images_per_s(run.log),
        run=str(run.path),
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text."""
    lines = [COLUMNS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            c.ljust(w) if i in (0, 6) else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [COLUMNS, ("---", *["---:"] * 5, "---"), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


def reason(text: str, code: int) -> str:
    """Why a command failed, in one line: its own words, or the last line of a traceback."""
    if code < 0:
        return f"stopped by signal {-code}{', which a machine out of memory sends' if code == -9 else ''}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (told or lines or [f"exit code {code}"])[-1]


def _images_per_s(log: Path) -> float | None:
    """Images of all epochs over the seconds of their training steps."""
    with log.open(newline="") as file:
        epochs = [(float(r["images_per_s"]), float(r["seconds"])) for r in csv.DictReader(file)]
    seconds = sum(s for _, s in epochs)
    return sum(rate * s for rate, s in epochs) / seconds if seconds else None


def _earlier(folder: Path, options: Mapping[str, Sequence[str]]) -> dict[str, Row]:
    """The rows of the tour in ``folder``; UserError if one of ``options`` was trained there with others."""
    file = folder / "tour.json"
    if not file.is_file():
        return {}
    try:
        told = json.loads(file.read_text())
        rows = {row["network"]: Row(**row) for row in told["rows"]}
        before = told["options"]
        done = [name for name in options if name in rows and rows[name].complete]
        other = next((name for name in done if before[name] != list(options[name])), None)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is not that of a tour: choose another folder=FOLDER") from error
    if other:
        raise UserError(
            f"folder={folder} holds a tour with other options, {other} with {' '.join(before[other])}: "
            "give the same options to go on with it, or another folder=FOLDER"
        )
    return rows


def _write(folder: Path, options: Mapping[str, Sequence[str]], rows: Sequence[Row]) -> None:
    file = folder / "tour.json"
    before = json.loads(file.read_text())["options"] if file.is_file() else {}
    kept = {name: list(given) for name, given in {**before, **options}.items()}
    files.write_json(file, {"options": kept, "rows": [asdict(row) for row in rows]})
    files.write_csv(folder / "tour.csv", list(asdict(rows[0])), [list(asdict(row).values()) for row in rows])
    files.write(folder / "tour.md", markdown(rows))
