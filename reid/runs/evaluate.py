"""Judge a trained model again, on its own test set or on another."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from reid import files, processes
from reid.data.records import camids, pids
from reid.errors import UserError
from reid.models.checkpoint import Trained
from reid.models.embedder import Embedder
from reid.models.extract import extract
from reid.report import facts, metric_table
from reid.runs.beside import Beside
from reid.runs.judge import Judgement, Judging
from reid.runs.targets import Target, results, sizes


def evaluate_again(
    *,
    trained: Trained,
    checkpoint: Path,
    targets: Sequence[Target],
    how: Judging,
    model: str,
    recorded: Path | None,
    beside: Beside,
    output: Path | None,
) -> Mapping[str, Any]:
    """Print the metric table and return the numbers, as metrics.json holds them.

    Args:
        trained: the embedder and what its checkpoint says of it.
        recorded: a metrics.json to compare with, or None; whether the numbers are the same is said.
        beside: what to show beside the numbers.
        output: a JSON file for the numbers, or None.

    Of several processes the first tells and writes; the others get nothing.

    Raises:
        UserError: translation is asked for where tracks are judged, or attributes of one set where there are several.
    """
    if beside.attributes is not None and len(targets) > 1:
        raise UserError("eval.attributes tells of the people of one set: name that set alone, as dataset=NAME")
    if beside.translate and any(target.pool != "none" for target in targets):
        raise UserError("eval.translate is for images, not for tracks: leave it out, or add eval.pool=none")
    embedder = trained.embedder
    if processes.rank():
        for target in targets:
            target.help_to_judge(embedder, how)
        return {}
    several = f" x {processes.count()}" if how.together else ""
    opening = {
        "checkpoint": f"{checkpoint} (epoch {trained.epochs})",
        "net": f"{embedder.backbone.name}, embedding of {embedder.dim}",
        "images": "{}x{}".format(*embedder.image_size),
        "data": "\n".join(f"{t.split.name} in {t.split.root}: {sizes([t])}" for t in targets),
        "device": f"{how.device}{several}, precision {'bf16' if how.bf16 else '32'}",
    }
    print(facts(opening), flush=True)
    told = {"feature": embedder.feature, "split": "test", "model": model}
    rows = []
    for target in targets:
        judgement = target.judge(embedder, how)
        row = target.row(judgement)
        if len(targets) == 1:
            print(f"\n{metric_table(results([row], **told))}")
        elif beside != Beside():
            print(f"\n{target.split.name}")
        rows.append(row | _beside(embedder, judgement, beside))
    numbers = results(rows, **told)
    if len(targets) > 1:
        print(f"\n{metric_table(numbers)}")
    if output is not None:
        files.write_json(output, numbers)
    if recorded is not None and recorded.is_file():
        print(f"\n{_compared(json.loads(recorded.read_text()), numbers, recorded)}")
    return numbers


def _beside(embedder: Embedder, judgement: Judgement, beside: Beside) -> dict[str, Any]:
    """What is asked for beside the numbers of one target, printed."""
    found = beside.by_attribute(judgement.evaluation)
    labels = {
        "query_pids": pids(judgement.query.records),
        "gallery_pids": pids(judgement.gallery.records),
        "query_camids": camids(judgement.query.records),
        "gallery_camids": camids(judgement.gallery.records),
    }
    features = judgement.query_features, judgement.gallery_features
    exact = judgement.evaluation if judgement.how.rerank is None else None
    found |= beside.through_index(*features, labels, judgement.evaluation.protocol, exact)
    return {**found, **(_translated(embedder, judgement, labels, beside) if beside.translate else {})}


def _translated(
    embedder: Embedder, judgement: Judgement, labels: Mapping[str, Any], beside: Beside
) -> Mapping[str, Any]:
    """Features as the network leaves them, of images and mirror images: some frameworks differ in just these."""
    how = judgement.how
    make = partial(extract, embedder, batch_size=how.batch_size, device=how.device, bf16=how.bf16, normalise=False)
    (query, gallery), (query_flipped, gallery_flipped) = (
        [make(images, view=view) for images in (judgement.query, judgement.gallery)] for view in ("image", "mirror")
    )
    rules = replace(how, flip=False).rules()
    flipped = {"query_flipped": query_flipped, "gallery_flipped": gallery_flipped}
    return beside.translated(query, gallery, labels, rules, **flipped)


def _compared(before: Mapping[str, Any], now: Mapping[str, Any], recorded: Path) -> str:
    """Whether these are the numbers of a results file, in words; other rules are not compared."""
    before, now = _flat(before), _flat(now)
    if other := [k for k in now if k.startswith("protocol") and before.get(k) != now[k]]:
        return f"judged by other rules than {recorded}: there {before.get(other[0])}"
    differ = [f"{k} is {v}, was {before[k]}" for k, v in now.items() if k in before and before[k] != v]
    return f"{'the same as' if not differ else 'not as'} in {recorded}{': ' if differ else ''}{'; '.join(differ)}"


def _flat(numbers: Mapping[str, Any]) -> Mapping[str, Any]:
    """The numbers by name; where there are several targets those of all, by name and target."""
    if "targets" not in numbers:
        return numbers
    return {f"{key} of {target['dataset']}": value for target in numbers["targets"] for key, value in target.items()}
