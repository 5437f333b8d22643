"""One thing that was found, and what all of them amount to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # worst first


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        severity: "error": the set cannot be used as it is. "warning": it can, but results suffer or mean less than they
            seem to. "info": worth knowing.
        name: what there is ``count`` of, in the plural.
        meaning: a sentence or two on what it means and the way out.
        files: each entry the files that belong together, as two copies of a picture; may be empty.
    """

    severity: Severity
    name: str
    count: int
    meaning: str
    files: tuple[tuple[Path, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON may hold it; the files as texts."""
        return {**vars(self), "files": [list(map(str, together)) for together in self.files]}


def found(severity: Severity, name: str, files: Sequence[Sequence[Path]], meaning: str) -> list[Finding]:
    """The finding that every entry of ``files`` is a case of; none where there is no entry."""
    return [Finding(severity, name, len(files), meaning, tuple(map(tuple, files)))] if files else []


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors, then warnings, then information; of one severity the most frequent first."""
    return tuple(sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), -f.count)))


def exit_code(findings: Iterable[Finding]) -> int:
    """0: healthy, with nothing but information. 1: warnings. 2: the set cannot be used as it is."""
    return max(({"error": 2, "warning": 1, "info": 0}[f.severity] for f in findings), default=0)


def one_line(findings: Iterable[Finding]) -> str:
    """Errors and warnings in one line without their meaning; empty where there is none.

    >>> one_line([Finding("info", "gaps", 2, ""), Finding("warning", "identities with one image", 3, "")])
    'identities with one image: 3'
    """
    return ", ".join(f"{f.name}: {f.count:,}" for f in worst_first(findings) if f.severity != "info")
