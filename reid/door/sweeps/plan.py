"""The jobs of a sweep as its folder tells them: which there are, what each is called, what became of it."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from reid import files
from reid.errors import UserError

FAILED, TRIAL = "failed.json", "trial.json"  # of a job, in its run folder
_LONGEST = 100  # characters of a folder's name


@dataclass(frozen=True)
class Job:
    """A job's run folder in that of the sweep, and the overrides that make it, without those every job gets."""

    folder: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """What became of a job: its numbers if it is done, why it failed, or neither."""

    name: Literal["done", "failed", "pruned", "unfinished"]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""


def plan(folder: Path, wanted: Sequence[Sequence[str]]) -> list[Job]:
    """The jobs of ``folder`` that ``wanted`` asks for, by their overrides. Those it has stay as they are.

    A job is called by its number and the values that not all jobs share, as ``003_resnet50_seed1``.
    """
    known = {_identity(job.overrides): job for job in earlier(folder).jobs}
    shared = set.intersection(*(set(overrides) for overrides in [*(j.overrides for j in known.values()), *wanted]))
    jobs: dict[frozenset[str], Job] = {}
    for overrides in wanted:
        identity = _identity(overrides)
        if identity not in known:
            known[identity] = Job(f"{len(known):03d}{_words(overrides, shared)}", tuple(overrides))
        jobs[identity] = known[identity]
    return list(jobs.values())


@dataclass(frozen=True)
class Earlier:
    """A sweep as its folder recorded it: the task overrides it was given, who made jobs of them, and these."""

    given: tuple[str, ...] = ()
    sweeper: str = "grid"
    jobs: tuple[Job, ...] = ()


def earlier(folder: Path) -> Earlier:
    """What ``sweep.json`` tells, nothing where there is none; UserError if it is damaged."""
    file = folder / "sweep.json"
    if not file.is_file():
        return Earlier()
    try:
        told = json.loads(file.read_text())
        jobs = tuple(Job(str(job["folder"]), tuple(job["overrides"])) for job in told["jobs"])
        return Earlier(tuple(told["given"]), str(told["sweeper"]), jobs)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is not that of a sweep: choose another hydra.sweep.dir=FOLDER") from error


def record(folder: Path, given: Sequence[str], sweeper: str, command: str, jobs: Iterable[Job]) -> None:
    """Write ``sweep.json``: every job that the folder ever had, and what became of it."""
    every = {job.folder: job for job in (*earlier(folder).jobs, *jobs)}
    rows = [{**asdict(job), **_told(state(folder / job.folder))} for job in every.values()]
    files.write_json(folder / "sweep.json", {
        "command": command, "sweeper": sweeper, "given": list(given), "jobs": rows,
    })  # fmt: skip


def state(run: Path) -> State:
    """What the run folder of a job says of it."""
    if (run / "metrics.json").is_file():
        return State("done", json.loads((run / "metrics.json").read_text()))
    if (run / FAILED).is_file():
        return State("failed", why=json.loads((run / FAILED).read_text())["error"])
    if (run / TRIAL).is_file() and json.loads((run / TRIAL).read_text())["state"] == "pruned":
        return State("pruned")
    return State("unfinished")


def fail(run: Path, error: str, overrides: Sequence[str]) -> None:
    """Write ``failed.json`` into a run folder."""
    files.write_json(run / FAILED, {"error": " ".join(error.split()), "overrides": list(overrides)})


def validated(run: Path, metric: str) -> dict[int, float]:
    """What each epoch of a run scored on the held-out identities, by the epoch from 1."""
    log = run / "train_log.csv"
    if not log.is_file():
        return {}
    with log.open(newline="") as file:
        rows = list(csv.DictReader(line for line in file if line.endswith("\n")))  # the last one may be half written
    return {int(row["epoch"]): float(row[f"val_{metric}"]) for row in rows if row.get(f"val_{metric}")}


def quoted(text: str) -> str:
    """``text`` as a value that Hydra reads back as it is."""
    if re.fullmatch(r"[\w./+@%-]+", text, re.ASCII):
        return text
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", text) + "'"


def _identity(overrides: Iterable[str]) -> frozenset[str]:
    return frozenset(overrides)


def _told(found: State) -> dict[str, Any]:
    numbers = {name: found.numbers.get(name) for name in ("mAP", "rank-1")}
    return {"state": found.name, **({"error": found.why} if found.why else {}), **(numbers if found.numbers else {})}


def _words(overrides: Sequence[str], shared: set[str]) -> str:
    words = []
    for override in overrides:
        key, _, value = override.partition("=")
        if override in shared:
            continue
        value = re.sub(r"[^\w.+-]+", "-", value).strip("-")
        says_it = key == "run.name" or ("." not in key and value[:1].isalpha())  # resnet50, of backbone
        last = "" if says_it else re.sub(r"\W", "", key.split(".")[-1])
        words.append(f"{last}{'' if says_it or value[:1].isdigit() else '-'}{value}")
    return "".join(f"_{word}" for word in words)[:_LONGEST]
