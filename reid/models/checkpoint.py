"""A trained embedder out of a checkpoint file, ready to embed."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid.errors import UserError
from reid.models import weights
from reid.models.backbones import Backbone
from reid.models.embedder import Embedder

_PREFIX = "embedder."
_OWN = "reid.models.backbones."


@dataclass(frozen=True)
class Trained:
    """An embedder, the plain facts that its checkpoint tells of it, and the epochs it was trained for.

    ``spec`` has ``backbone`` (function name and keyword arguments), ``head``, ``image_size``, ``num_classes``,
    ``bf16`` and ``evaluation``.
    """

    embedder: Embedder
    spec: Mapping[str, Any]
    epochs: int


def load_trained(path: Path, *, option: str = "checkpoint", trust: bool = False) -> Trained:
    """Rebuild the network that a checkpoint describes and load its weights.

    A checkpoint names the function that builds its backbone. One outside this package is called only when ``trust``
    says that the file comes from the user's own run, since the name could be any function.

    Raises:
        UserError: no such file, no checkpoint of this framework, a foreign builder, or weights that do not fit.
    """
    content = weights.read_any(path, option=option)
    spec = content.get("reid") if isinstance(content, dict) else None
    if not spec or "state_dict" not in content:
        raise UserError(
            f"{option}={path} is not a checkpoint of this framework; weights alone go to backbone.weights=FILE"
        )
    if not weights.is_sound(path):
        raise UserError(f"{option}={path} is damaged (its checksums do not match): take another checkpoint of its run")
    try:
        builder = _builder(spec["backbone"]["builder"], trust, f"{option}={path}")
        arguments = {**spec["backbone"]["arguments"]}
        arguments |= {k: v for k, v in {"pretrained": False, "weights": None}.items() if k in arguments}
        embedder = Embedder(
            builder(**arguments), image_size=spec["image_size"], num_classes=spec["num_classes"], **spec["head"]
        )
        state = {k.removeprefix(_PREFIX): v for k, v in content["state_dict"].items() if k.startswith(_PREFIX)}
        embedder.load_state_dict(state)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{option}={path} describes its network in a way this version does not know") from error
    except RuntimeError as error:
        raise UserError(f"{option}={path}: its weights do not fit the network it describes") from error
    return Trained(embedder.eval(), spec, _whole_epochs(content))


def _whole_epochs(content: Mapping[str, Any]) -> int:
    """How many epochs a checkpoint has behind it; one may be written before the first step or in the midst of one."""
    try:
        return int(content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
    except (KeyError, TypeError):  # made by hand; Lightning numbers the epoch that a checkpoint was written in
        return int(content.get("epoch", 0)) + 1 if content.get("global_step") else 0


def _builder(name: str, trust: bool, source: str) -> Callable[..., Backbone]:
    if not (trust or name.startswith(_OWN)):
        raise UserError(f"{source} was built by {name}, which is not part of this package: load it with run=RUN_FOLDER")
    module, _, function = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{source} was built by {name}, which cannot be imported here: {error}") from error
