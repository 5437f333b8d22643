"""What finished runs reached, backbone by backbone."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from reid.errors import UserError
from reid.runs.folder import RunFolder


@dataclass(frozen=True)
class Accuracy:
    """What one run reached on its test set.

    Attributes:
        dataset: what it was judged on first; of a run trained on something else as ``trained -> judged``.
        image_size: [height, width] in pixels.
        protocol: the stamp the numbers were made by.
        epochs: what the run was told to train.
        mean_ap, rank1: fractions; "mAP" and "rank-1" in the dictionary.
    """

    backbone: str
    dataset: str
    image_size: tuple[int, int]
    protocol: str
    epochs: int
    mean_ap: float
    rank1: float
    run: Path

    def to_dict(self) -> dict[str, Any]:
        told = asdict(self)
        accuracy = {"mAP": told.pop("mean_ap"), "rank-1": told.pop("rank1")}
        return {**told, **accuracy, "image_size": list(self.image_size), "run": str(self.run)}


def accuracies(root: Path, *, image_size: Sequence[int], dataset: str | None = None) -> dict[str, Accuracy]:
    """The newest finished run of each backbone on one data set and at one image size.

    Which is newest the folders' names say, ``<date>/<time>_<name>``. Runs of one data set may still differ in protocol
    and length: compare only what has the same ``protocol``.

    Args:
        root: the folder of the runs; one that does not exist has none.
        image_size: (height, width) that the runs must have been trained at.
        dataset: its name; by default that of the newest such run.

    Raises:
        UserError: a run with numbers has a damaged file.
    """
    found: dict[str, Accuracy] = {}
    for path in sorted(root.expanduser().glob("*/*/metrics.json"), reverse=True):
        one = _accuracy(RunFolder(path.parent))
        if one.image_size == tuple(image_size) and one.dataset == (dataset or one.dataset):
            dataset = one.dataset
            found.setdefault(one.backbone, one)
    return found


def _accuracy(run: RunFolder) -> Accuracy:
    try:
        told = json.loads(run.metrics.read_text())
        config = OmegaConf.load(run.config)
        if not isinstance(config, DictConfig):
            raise KeyError("backbone")
        height, width = config.image.size
        dataset = str(told["dataset"])
        if OmegaConf.select(config, "eval.targets") or OmegaConf.select(config, "dataset.sets"):
            dataset = f"{config.dataset.name} -> {dataset}"
        return Accuracy(
            backbone=str(config.backbone.get("name", "custom")),
            dataset=dataset,
            image_size=(int(height), int(width)),
            protocol=str(told["protocol"]),
            epochs=int(config.trainer.max_epochs),
            mean_ap=float(told["mAP"]),
            rank1=float(told["rank-1"]),
            run=run.path,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, YAMLError) as error:
        why = str(error).partition("\n")[0]
        raise UserError(
            f"{run.path} cannot be read as a run ({type(error).__name__}: {why}): move it elsewhere"
        ) from error
