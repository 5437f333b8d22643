"""What the examination of a data set says in the terminal, and words that its page shares."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reid.report.terminal import facts
from reid.report.text import short

_NAMED = 3
_WIDTH = 110
_CAMERAS = 16  # a wider matrix does not fit a terminal
_INDENT = " " * 9


def doctor_text(found: Mapping[str, Any]) -> str:
    """Plain text, the worst first.

    Args:
        found: as ``reid.data.doctor.Examination.to_dict`` gives it.
    """
    root = Path(found["root"])
    opening = {"data": f"{found['name']} in {root}"}
    opening |= {part: holds(counts) for part, counts in found["parts"].items()}
    opening |= {"sizes": sizes(found["sizes"])} if found["sizes"] else {}
    blocks = [facts(opening), *(_finding(f, root) for f in found["findings"])]
    blocks += [told for side, spread in found["people"].items() if (told := _people(side, spread))]
    return "\n\n".join([*blocks, f"{verdict(found['findings'])} ({found['seconds']:.1f} s)"])


def verdict(findings: Sequence[Mapping[str, Any]]) -> str:
    """One sentence on all of them.

    >>> verdict([{"severity": "warning"}, {"severity": "info"}])
    'can be used, but see 1 warning'
    """
    errors, warnings = ([f["severity"] for f in findings].count(kind) for kind in ("error", "warning"))
    told = " and ".join(f"{n} {kind}{'s' * (n > 1)}" for n, kind in ((errors, "error"), (warnings, "warning")) if n)
    if errors:
        return f"cannot be used as it is: {told}"
    return f"can be used, but see {told}" if warnings else "healthy"


def holds(counts: Mapping[str, int]) -> str:
    """The size of a part in words."""
    cameras = f"{counts['cameras']} camera{'s' * (counts['cameras'] != 1)}"
    return f"{counts['images']:,} images, {counts['identities']:,} identities, {cameras}"


def sizes(of: Mapping[str, Sequence[int]]) -> str:
    """Width x height of the median, smallest and largest image."""
    each = {which: f"{width}x{height}" for which, (width, height) in of.items()}
    if len(set(each.values())) == 1:
        return f"{each['median']} (width x height)"
    return f"{each['median']} (median width x height), from {each['smallest']} to {each['largest']}"


def place(file: str, root: Path) -> str:
    """A file as seen from the folder of the set."""
    path = Path(file)
    return str(path.relative_to(root)) if path.is_relative_to(root) else file


def quartiles(five: Sequence[float]) -> str:
    """Least, quartiles and most in words."""
    least, low, middle, high, most = map(short, five)
    if least == most:
        return f"{least} each"
    return f"from {least} to {most}, median {middle}, half of them {low} to {high}"


def _finding(finding: Mapping[str, Any], root: Path) -> str:
    files = [" = ".join(place(f, root) for f in together[:_NAMED]) for together in finding["files"][:_NAMED]]
    if more := len(finding["files"]) - _NAMED:
        files += [f"and {more:,} more"] if more > 0 else []
    lines = textwrap.wrap(finding["meaning"], _WIDTH - len(_INDENT), break_long_words=False) + files
    return "\n".join(
        [f"{finding['severity']:<9}{finding['name']}: {finding['count']:,}", *(_INDENT + line for line in lines)]
    )


def _people(side: str, spread: Mapping[str, Any]) -> str:
    if not spread["images_of_an_identity"]:
        return ""
    lines = [f"{side}: images of an identity: {quartiles(spread['images_of_an_identity'])}"]
    cameras, shared = spread["cameras"], spread["shared_identities"]
    if 1 < len(cameras) <= _CAMERAS:
        width = max(len(f"{n:,}") for n in [*cameras, *(n for row in shared for n in row)]) + 2
        lines += ["identities that two cameras share (on the diagonal: that one camera sees)"]
        lines += ["".join(f"{n:>{width}}" for n in ["", *cameras])]
        for camera, row in zip(cameras, shared, strict=True):
            lines += ["".join(f"{n:>{width},}" if i else f"{n:>{width}}" for i, n in enumerate([camera, *row]))]
    return "\n".join(lines)
