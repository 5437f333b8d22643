"""One slip of a user, and what has to be said of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """``{toy}``, ``{set}`` (a copy of it), ``{run}`` (a copy of a finished run) and ``{work}`` stand for folders."""

    name: str
    given: Sequence[str]
    says: Sequence[str]
    prepare: Callable[[Path], object] | None = None  # gets the folder ``work`` with ``set`` and ``run`` in it
    script: str = "train.py"
    own_process: bool = False


def train(name: str, *given: str, says: Sequence[str], **options: object) -> Case:
    return Case(name, given, says, **options)  # type: ignore[arg-type]


def market(name: str, root: str, says: Sequence[str], prepare: Callable[[Path], object] | None = None) -> Case:
    return Case(name, ("dataset=market1501", "dataset.name=mine", f"dataset.root={root}"), says, prepare)


def resume(name: str, *given: str, says: Sequence[str], prepare: Callable[[Path], object] | None = None) -> Case:
    return Case(name, ("resume={run}", *given), says, prepare)


def judge(name: str, *given: str, says: Sequence[str], prepare: Callable[[Path], object] | None = None) -> Case:
    return Case(name, given, says, prepare, script="eval.py")
