"""Run folders below a folder, whatever their state, told from their small files alone."""

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml  # type: ignore[import-untyped]

from reid.runs.per_query import per_query_files

FAILED, TRIAL = "failed.json", "trial.json"  # what a job of a sweep leaves that failed, and one that is a trial
DEPTH = 6
SWEEP, IMPORTANCE = "sweep.json", "importance.json"  # in the folder of a sweep, the latter where Optuna led it
_MARKS = {"config.yaml", "metrics.json", "train_log.csv", "checkpoints", FAILED}
_READ = ("epoch", "loss", "val_mAP", "images_per_s", "seconds")  # of train_log.csv
_NUMBERS = ("mAP", "rank-1")
_NEEDED = ("seed", "backbone._target_", "trainer.max_epochs")  # of a config: of its beginning, middle and end
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C some ten times as fast


@dataclass(frozen=True)
class Log:
    """Some columns of train_log.csv, float64 [epochs], NaN where a cell is empty; an empty one for each that is not."""

    columns: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns.get(name, np.zeros(0))

    @property
    def seconds(self) -> float:
        """Of the training steps of all epochs; NaN where none is written."""
        return float(np.nansum(self["seconds"])) if np.isfinite(self["seconds"]).any() else np.nan

    @property
    def images_per_s(self) -> float:
        """Images of all epochs over the seconds of their training steps; NaN where none is written."""
        rate, seconds = self["images_per_s"], self["seconds"]
        known = np.isfinite(rate) & np.isfinite(seconds) if len(rate) == len(seconds) else np.zeros(0, dtype=bool)
        return float((rate * seconds)[known].sum() / seconds[known].sum()) if seconds[known].sum() > 0 else np.nan

    @property
    def epochs(self) -> int:
        """The last epoch that is written whole."""
        return int(np.nanmax(self["epoch"])) if np.isfinite(self["epoch"]).any() else 0


@dataclass(frozen=True)
class Target:
    """The numbers of one run on one test set, as metrics.json holds them, and the file of their queries."""

    dataset: str
    numbers: Mapping[str, Any]
    per_query: Path


@dataclass(frozen=True)
class Run:
    """A finished run. ``config`` is flat, dotted key to value; ``data`` is data.json; ``written`` when it ended."""

    path: Path
    config: Mapping[str, Any]
    data: Mapping[str, Any]
    targets: tuple[Target, ...]
    facts: Mapping[str, Any]
    log: Log
    written: float


@dataclass(frozen=True)
class Unfinished:
    """A run without numbers yet; ``written`` is when its log was, or the folder, in seconds since 1970.

    ``pruned`` are trials that a sweep gave up.
    """

    path: Path
    config: Mapping[str, Any]
    log: Log
    written: float
    pruned: bool


@dataclass(frozen=True)
class Waiting:
    """A job of a sweep that has not begun: where its run folder will be."""

    path: Path


@dataclass(frozen=True)
class Study:
    """What a sweep's optimiser found each value worth: config key to share; ``metric`` and ``measure`` in words."""

    path: Path
    shares: Mapping[str, float]
    metric: str
    measure: str


@dataclass(frozen=True)
class Lost:
    """A folder without numbers to use, and why; ``failed`` where its job said so itself."""

    path: Path
    why: str
    failed: bool = False


def run_folders(roots: Sequence[Path], depth: int = DEPTH) -> Iterator[Path | Study | Waiting | Lost]:
    """Every run folder in ``roots`` and up to ``depth`` levels below, what sweeps tell, in the order of their names.

    What is inside a run folder is not looked into, and a folder that two roots or links lead to comes once.
    """
    seen: set[str] = set()
    stack = [(root, 0) for root in reversed(roots)]
    while stack:
        folder, level = stack.pop()
        if (real := os.path.realpath(folder)) in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda e: e.name, reverse=True)  # the last is popped first
        except OSError as error:
            yield Lost(folder, f"cannot be read ({error.strerror})")
            continue
        names = {e.name for e in entries}
        if _MARKS & names:
            yield folder
            continue
        if IMPORTANCE in names and (study := _study(folder)):
            yield study
        if SWEEP in names:
            yield from _not_begun(folder)
        if level < depth:
            stack += [(folder / e.name, level + 1) for e in entries if e.is_dir() and not e.name.startswith(".")]


def read(path: Path) -> Run | Unfinished | Lost:
    """What a run folder tells. Nothing larger than its config, results and log is opened."""
    try:
        failure = _failure(path)
        if failure is not None and not (path / "metrics.json").is_file():
            return Lost(path, failure, failed=True)
        if not (path / "config.yaml").is_file():
            return Lost(path, "config.yaml is missing: it has only just begun, or is not whole")
        config, log = _config(path / "config.yaml"), read_columns(path / "train_log.csv")
        if not (path / "metrics.json").is_file():
            file = path / "train_log.csv" if log.columns else path
            pruned = (path / TRIAL).is_file() and _json(path / TRIAL).get("state") == "pruned"
            return Unfinished(path, config, log, file.stat().st_mtime, pruned)
        metrics, data = _json(path / "metrics.json"), _json(path / "data.json")
        written = (path / "metrics.json").stat().st_mtime
        return Run(path, config, data, _targets(path, metrics, data), metrics, log, written)
    except OSError as error:
        return Lost(path, f"{Path(error.filename or path).name} cannot be read ({error.strerror})")
    except ValueError as error:
        return Lost(path, str(error))


def read_columns(path: Path) -> Log:
    """The columns of a train_log.csv; none without the file. A line that is still being written is left out."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return Log({})
    rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
    if not rows:
        return Log({})
    head, *rows = rows
    rows = [row for row in rows if len(row) == len(head)]
    return Log({name: np.array([_number(row[i]) for row in rows]) for i, name in enumerate(head) if name in _READ})


def _not_begun(sweep: Path) -> Iterator[Waiting | Lost]:
    """The jobs that sweep.json lists and that have left nothing yet."""
    try:
        folders = [sweep / str(job["folder"]) for job in _json(sweep / SWEEP)["jobs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Lost(sweep, f"{SWEEP} is damaged ({error})")
        return
    yield from (Waiting(folder) for folder in folders if not any((folder / mark).exists() for mark in _MARKS))


def _study(path: Path) -> Study | Lost | None:
    """What importance.json holds; None where the trials were too few to tell."""
    try:
        told = _json(path / IMPORTANCE)
        shares = {str(key): float(share) for key, share in told["importance"].items()}
        measure = f"{told.get('evaluator', 'importance')} of Optuna over {told.get('trials', 'its')} trials"
        return Study(path, shares, str(told.get("metric", "")), measure) if shares else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Lost(path, f"{IMPORTANCE} is damaged ({error})")


def _failure(path: Path) -> str | None:
    """The one-line error that a failed job of a sweep left; None where it left none."""
    file = path / FAILED
    if not file.is_file():
        return None
    told = _json(file)
    return str(told["error"]).partition("\n")[0] if told.get("error") else None


def _targets(path: Path, metrics: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[Target, ...]:
    one = {**metrics, "dataset": metrics.get("dataset") or data.get("name") or "unnamed"}
    rows = metrics.get("targets") or [one]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("metrics.json: targets is no list of results")
    for row in rows:
        for name in _NUMBERS:
            if not isinstance(row.get(name), int | float):
                raise ValueError(f"metrics.json has no number for {name}")
    names = [str(row.get("dataset")) for row in rows]
    return tuple(
        Target(name, row, path / file)
        for name, row, file in zip(names, rows, per_query_files(names), strict=True)
    )  # fmt: skip


def _json(path: Path) -> dict[str, Any]:
    """An object from a JSON file; ValueError names the file."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing") from None
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged or cut short ({str(error).partition(chr(10))[0]})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is damaged: it holds no object")
    return content


def _config(path: Path) -> dict[str, Any]:
    """A composed config as dotted key -> value; ValueError if it is none."""
    try:
        # The configs of a sweep are alike in most of their groups, so each text is read once.
        groups = [_group(text) for text in re.split(r"^(?=[A-Za-z_])", path.read_text(), flags=re.M) if text.strip()]
    except (yaml.YAMLError, ValueError, AttributeError) as error:
        raise ValueError(f"config.yaml is damaged or cut short ({type(error).__name__})") from error
    config = {key: value for group in groups for key, value in group}
    if missing := [key for key in _NEEDED if key not in config]:
        raise ValueError(f"config.yaml is cut short or not that of a run: it has no {missing[0]}")
    if not isinstance(config["seed"], int):
        raise ValueError(f"config.yaml: seed={config['seed']} is no whole number")
    return config


@lru_cache(maxsize=4096)
def _group(text: str) -> tuple[tuple[str, Any], ...]:
    return tuple(_flat("", yaml.load(text, _LOADER)))


def _flat(prefix: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; lists and empty mappings are values."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan
