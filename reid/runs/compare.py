"""Two runs on the same images, query by query."""

from collections.abc import Mapping
from typing import Any

from reid.evaluation import Comparison, compare
from reid.report import facts


def compare_runs(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Comparison]:
    """Judge both models on their first target, print the paired differences in mAP and rank-1, and return them."""
    evaluations = []
    for name, one in (("a", a), ("b", b)):
        embedder, target = one["trained"].embedder, one["targets"][0]
        print(facts({name: f"{one['checkpoint']} ({embedder.backbone.name}) on {target.split.root}"}), flush=True)
        evaluations.append(target.judge(embedder, one["how"]).evaluation)
    found = [compare(*evaluations, metric=metric) for metric in ("mAP", "rank-1")]
    head, row, *notes = str(found[0]).splitlines()
    print("\n".join(("", head, row, found[1].row, *notes)))
    return found
