"""What ``translate`` returns: one row for each framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reid.errors import UserError


@dataclass(frozen=True)
class Row:
    """What one framework reports.

    Attributes:
        framework: its name, and the option where one was switched on.
        called: what it calls the two numbers.
        mAP: a fraction.
        rank_1: a fraction.
        reason: why the numbers differ from ours, in one line.
        checked: against what, at which commit of the framework.
    """

    framework: str
    called: str
    mAP: float  # noqa: N815, the field's own spelling
    rank_1: float
    reason: str
    checked: str

    def to_dict(self) -> dict[str, str | float]:
        """For JSON."""
        return {
            "framework": self.framework,
            "called": self.called,
            "mAP": self.mAP,
            "rank-1": self.rank_1,
            "reason": self.reason,
            "checked": self.checked,
        }


@dataclass(frozen=True)
class Translation:
    """The same features as each framework would judge them.

    Attributes:
        rows: ours first.
        stamp: protocol and distance of ours.
    """

    rows: tuple[Row, ...]
    stamp: str

    def __getitem__(self, framework: str) -> Row:
        """The row of a framework.

        Raises:
            UserError: no row has this name.
        """
        for row in self.rows:
            if row.framework == framework:
                return row
        raise UserError(
            f"framework={framework!r} has no row; choose one of {', '.join(r.framework for r in self.rows)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"rows": [row.to_dict() for row in self.rows], "protocol": self.stamp}

    def __str__(self) -> str:
        """Two lines a row, in percent, the protocol of ours beneath."""
        lines = [f"{'mAP':>8} {'rank-1':>8}  framework: what it calls them"]
        for row in self.rows:
            lines.append(f"{row.mAP:>8.2%} {row.rank_1:>8.2%}  {row.framework}: {row.called} ({row.checked})")
            lines.append(f"{'':>19}{row.reason}")
        return "\n".join((*lines, f"ours is {self.stamp}"))
