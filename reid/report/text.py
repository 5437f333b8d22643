"""How the report spells numbers: one place, so that the page, the picture and the terminal agree."""

import math
from collections.abc import Mapping, Sequence
from typing import SupportsFloat, SupportsIndex

DASH = "–"
HEADLINE = ("mAP", "rank-1", "rank-5", "rank-10", "mINP")


def number(value: object) -> float:
    """``value`` as a float; NaN for what is no number (an empty cell of a log, None)."""
    try:
        return float(value) if isinstance(value, str | SupportsFloat | SupportsIndex) else math.nan
    except (ValueError, OverflowError, TypeError):
        return math.nan


def percent(value: object) -> str:
    """A fraction as a percentage with one decimal; a dash where there is no number.

    >>> percent(0.87654), percent(float("nan"))
    ('87.7%', '–')
    """
    fraction = number(value)
    return f"{100 * fraction:.1f}%" if math.isfinite(fraction) else DASH


def count(value: object) -> str:
    """A number of things; a dash where there is no number.

    >>> count(19732), count(None)
    ('19,732', '–')
    """
    return f"{number(value):,.0f}" if math.isfinite(number(value)) else DASH


def short(value: float) -> str:
    """Three significant digits without a padded exponent.

    >>> short(0.41234), short(3.5e-5), short(1250.0)
    ('0.412', '3.5e-5', '1250')
    """
    if not math.isfinite(value):
        return DASH
    if 1000 <= abs(value) < 1e6:
        return f"{value:.0f}"
    digits, _, exponent = f"{value:.3g}".partition("e")
    return f"{digits}e{int(exponent)}" if exponent else digits


def scientific(value: float) -> str:
    """The spelling usual for learning rates, the same for every size.

    >>> scientific(0.00035), scientific(0.1), scientific(0.0)
    ('3.5e-4', '1e-1', '0')
    """
    if value == 0 or not math.isfinite(value):
        return short(value)
    exponent = math.floor(math.log10(abs(value)) + 1e-9)  # the log of a power of ten may fall just short of it
    return f"{value / 10.0**exponent:.3g}e{exponent}"


def interval(metrics: Mapping[str, object]) -> str:
    """The 95 % intervals of mAP, rank-1 and mINP, pairs of fractions under ``mAP_interval`` and so on; empty without.

    >>> interval({"mAP_interval": [0.4812, 0.5203], "mINP_interval": [0.4, 0.45]})
    'mAP 48.1% to 52.0%, mINP 40.0% to 45.0% (95%, for other identities)'
    """
    ends = {name: metrics.get(f"{name}_interval") for name in ("mAP", "rank-1", "mINP")}
    known = [f"{name} {percent(e[0])} to {percent(e[1])}" for name, e in ends.items() if isinstance(e, list)]
    return f"{', '.join(known)} (95%, for other identities)" if known else ""


def query_count(metrics: Mapping[str, object]) -> str:
    """The number of queries and, if there are any, of those without a match; empty if neither is known.

    >>> query_count({"queries": 3368, "queries_without_match": 2})
    '3,368, of these 2 without a match in the gallery'
    """
    queries, unmatched = number(metrics.get("queries")), number(metrics.get("queries_without_match"))
    total = f"{queries:,.0f}" if math.isfinite(queries) else ""
    without = f"{unmatched:,.0f} without a match in the gallery" if unmatched > 0 else ""
    return ", of these ".join(part for part in (total, without) if part)


def stamps(targets: Sequence[Mapping[str, object]]) -> list[str]:
    """The protocols of several targets, each once; where they differ with the names of the targets that go by it.

    >>> stamps([{"dataset": "a", "protocol": "x"}, {"dataset": "b", "protocol": "x"}])
    ['x']
    >>> stamps([{"dataset": "a", "protocol": "x"}, {"dataset": "b", "protocol": "y"}])
    ['x (a)', 'y (b)']
    """
    names: dict[str, list[str]] = {}
    for target in targets:
        names.setdefault(str(target.get("protocol") or "not stated"), []).append(str(target.get("dataset")))
    return list(names) if len(names) == 1 else [f"{stamp} ({', '.join(of)})" for stamp, of in names.items()]
