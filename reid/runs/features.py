"""Judge features that came from anywhere: arrays in a file, no model at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reid import files
from reid.errors import UserError
from reid.evaluation import Rerank, evaluate
from reid.evaluation.protocols import named_protocol
from reid.report import facts, metric_table
from reid.runs.beside import Beside
from reid.runs.judge import numbers_of

_NEEDED = ("query_features", "gallery_features", "query_pids", "gallery_pids")
_SIDES = ("camids", "tracks", "times", "clothes")
_KNOWN = (*_NEEDED, *(f"{side}_{label}" for label in _SIDES for side in ("query", "gallery")), "query_gallery_index")


def judge_features(
    *, file: Path, protocol: str, distance: str, rerank: Rerank | None, beside: Beside, output: Path | None
) -> Mapping[str, Any]:
    """Print the metric table of the arrays in an .npz file and return the numbers.

    Raises:
        UserError: the file cannot be read or lacks an array, or the arrays are wrong as for ``evaluate``.
    """
    arrays = read_features(file)
    rules = named_protocol(protocol)
    query, gallery = arrays.pop("query_features"), arrays.pop("gallery_features")
    print(facts({"features": f"{file}: {len(query)} queries, {len(gallery)} gallery images"}), flush=True)
    evaluation = evaluate(query, gallery, **arrays, protocol=rules, distance=distance, rerank=rerank)
    numbers = numbers_of(evaluation, by_camera="query_camids" in arrays and rerank is None)
    print(f"\n{metric_table(numbers)}")
    numbers |= beside.by_attribute(evaluation)
    labels = {key: value for key, value in arrays.items() if key in _KNOWN[:6]}
    asked = (query, gallery, labels, evaluation.protocol)
    numbers |= beside.through_index(*asked, evaluation if rerank is None else None)
    numbers |= beside.translated(*asked)
    if output is not None:
        files.write_json(output, numbers)
    return numbers


def read_features(file: Path) -> dict[str, Any]:
    """The arrays of an .npz file by name, known names only and all that are needed."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise UserError(f"eval.features={file}: no such file") from None
    except (OSError, ValueError, EOFError, AttributeError) as error:
        raise UserError(f"eval.features={file} is not an .npz file of plain arrays: {error}") from error
    wrong = [name for name in arrays if name not in _KNOWN]
    missing = [name for name in _NEEDED if name not in arrays]
    if wrong or missing:
        what = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"holds {', '.join(wrong)}"] * bool(wrong)
        raise UserError(f"eval.features={file} {' and '.join(what)}; known arrays are {', '.join(_KNOWN)}")
    return arrays
