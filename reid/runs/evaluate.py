"""Judge a trained model again, on its own test set or on another."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reid import files
from reid.data.records import Split
from reid.errors import UserError
from reid.models.checkpoint import Trained
from reid.report import facts, metric_table
from reid.runs.judge import Judging, judge, metrics


def evaluate_again(
    *,
    trained: Trained,
    checkpoint: Path,
    split: Split,
    how: Judging,
    model: str,
    output: Path | None,
    recorded: Path | None,
) -> Mapping[str, Any]:
    """Print the metric table and return the numbers.

    Args:
        trained: the embedder and what its checkpoint says of it.
        output: a JSON file for the numbers, or None.
        recorded: a metrics.json to compare with, or None; whether the numbers are the same is said.
    """
    if output is not None and (output.is_dir() or not output.parent.is_dir()):
        raise UserError(f"output={output} must be a JSON file in a folder that exists")
    embedder = trained.embedder
    opening = {
        "checkpoint": f"{checkpoint} (epoch {trained.epochs})",
        "net": f"{embedder.backbone.name}, embedding of {embedder.dim}",
        "images": "{}x{}".format(*embedder.image_size),
        "data": f"{split.name} in {split.root}: {len(split.query)} queries, {len(split.gallery)} gallery images",
        "device": f"{how.device}, precision {'bf16' if how.bf16 else '32'}",
    }
    print(facts(opening), flush=True)
    judgement = judge(embedder, split, how)
    numbers = metrics(judgement, feature=embedder.feature, split="test", model=model, dataset=split.name)
    print(f"\n{metric_table(numbers)}")
    if output is not None:
        files.write_json(output, numbers)
    if recorded is not None and recorded.is_file():
        before = json.loads(recorded.read_text())
        differ = [f"{k} is {v}, was {before[k]}" for k, v in numbers.items() if k in before and before[k] != v]
        print(f"\n{'the same as' if not differ else 'not as'} in {recorded}{': ' if differ else ''}{'; '.join(differ)}")
    return numbers
