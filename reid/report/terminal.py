"""Plain text for the terminal: the facts a run opens with and the numbers it closes with."""

from collections.abc import Mapping, Sequence

from reid.report.text import HEADLINE, count, interval, percent, query_count, stamps


def metric_table(metrics: Mapping[str, object]) -> str:
    """The closing table: headline numbers as percentages, and under them what they were measured on.

    Args:
        metrics: fractions under ``mAP``, ``rank-1``, ``rank-5``, ``rank-10``, ``mINP`` (a dash stands for an absent or
            undefined one); optionally ``protocol`` (its stamp), ``queries``, ``queries_without_match``, ``split``,
            ``feature``, ``model``, ``mAP_interval`` (the two ends of its 95 % interval), and ``targets``: such mappings
            with ``dataset`` and ``gallery``, of which each then has a row of its own.

    Returns:
        Lines without colour and without a final newline.

    >>> print(metric_table({"mAP": 0.8432, "rank-1": 0.9361, "protocol": "market1501, cosine", "queries": 12}))
         mAP    rank-1    rank-5   rank-10      mINP
    ------------------------------------------------
       84.3%     93.6%         –         –         –
    <BLANKLINE>
    protocol  market1501, cosine
    queries   12
    """
    if targets := metrics.get("targets"):
        return _target_table(targets, metrics)  # type: ignore[arg-type]
    head = "".join(f"{name:>10}" for name in HEADLINE)[2:]
    row = "".join(f"{percent(metrics.get(name)):>10}" for name in HEADLINE)[2:]
    below = {
        "protocol": str(metrics.get("protocol") or ""),
        "interval": interval(metrics),
        "queries": query_count(metrics),
        "split": str(metrics.get("split") or ""),
        "feature": str(metrics.get("feature") or ""),
        "model": str(metrics.get("model") or ""),
    }
    lines = [head, "-" * len(head), row]
    stamp = facts({key: value for key, value in below.items() if value})
    return "\n".join([*lines, "", stamp] if stamp else lines)


def _target_table(targets: Sequence[Mapping[str, object]], metrics: Mapping[str, object]) -> str:
    """A row for each target, and under them what they were measured by."""
    width = max(len(str(target["dataset"])) for target in targets)
    head = f"{'':<{width}}" + "".join(f"{name:>10}" for name in (*HEADLINE, "queries", "gallery"))
    rows = [
        f"{target['dataset']!s:<{width}}"
        + "".join(f"{percent(target.get(name)):>10}" for name in HEADLINE)
        + "".join(f"{count(target.get(name)):>10}" for name in ("queries", "gallery"))
        for target in targets
    ]
    below = {
        "protocol": "\n".join(stamps(targets)),
        "no match": "\n".join(
            f"{count(target['queries_without_match'])} queries of {target['dataset']}"
            for target in targets
            if target.get("queries_without_match")
        ),
        **{key: str(metrics.get(key) or "") for key in ("split", "feature", "model")},
    }
    stamp = facts({key: value for key, value in below.items() if value})
    return "\n".join([head, "-" * len(head), *rows, "", stamp])


def facts(pairs: Mapping[str, str]) -> str:
    """Keys and values in two columns; a further line of a value keeps to the value's column.

    >>> print(facts({"net": "resnet50", "batch": "16 identities x 4 images"}))
    net    resnet50
    batch  16 identities x 4 images
    """
    width = max((len(key) for key in pairs), default=0)
    lines = []
    for key, value in pairs.items():
        first, *rest = str(value).splitlines() or [""]
        lines.append(f"{key:<{width}}  {first}")
        lines.extend(f"{'':<{width}}  {line}" for line in rest)
    return "\n".join(line.rstrip() for line in lines)
