"""From finished runs to tables of rows that may be ranked together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reid.report.leaderboard import METRICS, Importance, Row, Table
from reid.report.text import number
from reid.runs.leaderboard.configs import columns, experiment, headings
from reid.runs.leaderboard.folders import Log, Run, Target
from reid.runs.leaderboard.importance import MEASURE, importance
from reid.runs.leaderboard.paired import against_best

CURVES = ("loss", "val_mAP")


@dataclass(frozen=True)
class Entry:
    """One run on one of its test sets."""

    run: Run
    target: Target

    @property
    def seed(self) -> int:
        return int(self.run.config["seed"])

    def value(self, metric: str) -> float:
        return number(self.target.numbers.get(metric))


def ground(entry: Entry) -> dict[str, str]:
    """What has to be alike for two numbers to be ranked: the test set, its protocol, the data, what was trained on."""
    run, numbers = entry.run, entry.target.numbers
    return {
        "test set": entry.target.dataset,
        "protocol": str(numbers.get("protocol") or "not stated"),
        "data": _data(run, entry.target),
        "trained on": _trained(run),
        "judged": str(run.facts.get("split") or "test"),
    }


def tables(
    runs: Sequence[Run], root: Path, *, metric: str, top: int | None, ignored: tuple[str, ...]
) -> tuple[list[Table], list[str]]:
    """The tables, that of most runs first, and in which parts of their ground they differ."""
    parts: dict[tuple[str, ...], list[Entry]] = {}
    grounds: dict[tuple[str, ...], dict[str, str]] = {}
    for run in runs:
        for target in run.targets:
            entry = Entry(run, target)
            told = ground(entry)
            key = tuple(told.values())
            parts.setdefault(key, []).append(entry)
            grounds[key] = told
    ordered = sorted(parts, key=lambda key: (-len(parts[key]), key))
    differ = [name for i, name in enumerate(next(iter(grounds.values()), {})) if len({key[i] for key in parts}) > 1]
    found = [_table(parts[key], grounds[key], root, metric=metric, top=top, ignored=ignored) for key in ordered]
    return found, differ


def curves(logs: Sequence[Log]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Epochs and mean over the logs, of each column that is drawn; epochs that not all logs have are left out."""
    found = {}
    for name in CURVES:
        series = []
        for log in logs:
            x, y = log["epoch"], log[name]
            known = np.isfinite(x) & np.isfinite(y) if len(x) == len(y) else np.zeros(len(x), dtype=bool)
            series.append(dict(zip(x[known].tolist(), y[known].tolist(), strict=True)) if known.any() else {})
        common = sorted(set.intersection(*map(set, series)))
        if common:
            found[name] = np.array(common), np.array([sum(one[x] for one in series) / len(series) for x in common])
    return found


def _table(
    entries: Sequence[Entry],
    told: Mapping[str, str],
    root: Path,
    *,
    metric: str,
    top: int | None,
    ignored: tuple[str, ...],
) -> Table:
    together: dict[object, list[Entry]] = {}
    for entry in entries:
        together.setdefault(experiment(entry.run.config, ignored), []).append(entry)
    groups = [_newest(group) for group in together.values()]
    repeated = len(entries) - sum(map(len, groups))
    shown = columns([group[0].run.config for group in groups], ignored)
    names = headings(shown, {key for entry in entries for key in entry.run.config})
    rows = [
        _row(group, {key: values[i] for key, values in shown.items()}, root, metric)
        for i, group in enumerate(groups)
    ]  # fmt: skip
    order = sorted(range(len(rows)), key=lambda i: (-_last(rows[i].mean(metric)), rows[i].folders))
    rows, groups = [rows[i] for i in order], [groups[i] for i in order]
    tested = min(len(rows), top or len(rows))
    files = [[entry.target.per_query for entry in group] for group in groups[:tested]]
    if tested > 1:
        found = against_best(files[0], files[1:], metric)
        rows[1:tested] = [replace(row, versus=v) for row, v in zip(rows[1:tested], found, strict=True)]
    why = dict.fromkeys(row.versus.why for row in rows if row.versus and row.versus.why)
    notes = [f"Of runs with one config and seed the newest counts; {repeated} earlier left out."] if repeated else []
    notes += [f"A row is not tested: {reason}." for reason in why]
    return Table(
        title=told["test set"],
        ground={k: v for k, v in told.items() if k != "test set" and not (k == "judged" and v == "test")},
        columns=names,
        metric=metric,
        rows=rows,
        tested=tested,
        importance=_importance(rows, names, metric),
        measure=MEASURE,
        notes=notes,
    )


def _newest(group: Sequence[Entry]) -> list[Entry]:
    """One run a seed, the one that ended last, in the order of the seeds."""
    by_seed = {entry.seed: entry for entry in sorted(group, key=lambda e: e.run.written)}
    return [by_seed[seed] for seed in sorted(by_seed)]


def _row(group: Sequence[Entry], settings: Mapping[str, str], root: Path, metric: str) -> Row:
    logs = [entry.run.log for entry in group]
    ends = [entry.target.numbers.get(f"{metric}_interval") for entry in group]
    low, high = (
        _mean([number(e[i]) if isinstance(e, list) and len(e) == 2 else math.nan for e in ends]) for i in (0, 1)
    )
    return Row(
        settings=settings,
        seeds=tuple(entry.seed for entry in group),
        folders=tuple(below(entry.run.path, root) for entry in group),
        values={m: tuple(entry.value(m) for entry in group) for m in METRICS},
        interval=(low, high),
        images_per_s=_mean([log.images_per_s for log in logs]),
        hours=_mean([log.seconds / 3600 for log in logs]),
        parameters=_mean([number(entry.run.facts.get("parameters")) for entry in group]),
        curves=curves(logs),
    )


def _importance(rows: Sequence[Row], names: Mapping[str, str], metric: str) -> list[Importance]:
    """Over the runs; with repeats also what the seeds leave unexplained by any setting."""
    runs = [(row, value) for row in rows for value in row.values[metric]]
    values = [value for _, value in runs]
    found = importance({names[key]: [row.settings[key] for row, _ in runs] for key in names}, values)
    if found and all(len(row.seeds) > 1 for row in rows):
        (whole,) = importance({"": [str(row.folders) for row, _ in runs]}, values)
        found.append(Importance("seed", 1 - whole.share, "what no setting tells"))
    return found


def below(path: Path, root: Path) -> str:
    """A run folder as seen from the folder of the runs."""
    return str(path.relative_to(root)) if path.is_relative_to(root) and path != root else str(path)


def _data(run: Run, target: Target) -> str:
    """The fingerprint of what was trained and judged on, with what was left out of either."""
    parts = [run.data.get(name) for name in ("sets", "targets")]
    known = [run.data, *(one for part in parts if isinstance(part, list) for one in part if isinstance(one, dict))]
    judged = next((one for one in known if one.get("name") == target.dataset), {})
    whole = str(run.data.get("fingerprint") or "not stated")
    if _held(run):  # which identities are held out is drawn by the seed, so that no two fingerprints are alike
        sizes = [f"{_count(run.data, part, 'images')} {part}" for part in ("query", "gallery")]
        told = f"{run.data.get('name')} with {' and '.join(sizes)} images"
    else:
        told = f"{run.data.get('name')} {whole[:12]}"
    if judged and judged is not run.data:
        told += f", judged on {judged.get('name')} {str(judged.get('fingerprint'))[:12]}"
    left = {
        "training": run.data.get("unreadable_training_images_left_out"),
        "test": target.numbers.get("unreadable_images_left_out"),
    }
    return told + "".join(f", {count} unreadable {part} images left out" for part, count in left.items() if count)


def _trained(run: Run) -> str:
    identities = _count(run.data, "train", "identities")
    if _held(run):
        return f"{identities} identities; others, a fraction of {_held(run):g}, held out by the seed to choose on"
    return f"all {identities} training identities"


def _held(run: Run) -> float:
    held = number(run.config.get("dataset.val_fraction"))
    return held if held > 0 else 0.0


def _count(data: Mapping[str, Any], part: str, of: str) -> str:
    sizes = data.get(part)
    return f"{sizes[of]:,}" if isinstance(sizes, dict) and isinstance(sizes.get(of), int) else "unknown"


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return float(np.mean(known)) if len(known) == len(values) else math.nan


def _last(value: float) -> float:
    return value if math.isfinite(value) else -math.inf
