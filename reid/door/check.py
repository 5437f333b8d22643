"""Config values against what takes them, so that a slip is told before anything is read, trained or written."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from reid.errors import UserError

_TRAIN_KEYS = {
    "dataset", "sampler", "backbone", "head", "objective", "augment", "mix", "optimizer", "schedule", "trainer",
    "logger", "data", "image", "eval", "run", "seed", "resume", "resume_changes",
}  # fmt: skip
_VALUES: dict[str, tuple[Any, int | None]] = {  # of keys that no function's annotations tell: type, least value
    "seed": (int, 0),
    "data.identities": (int, 1),
    "data.images": (int, 1),
    "data.workers": (int, 0),
    "data.skip_unreadable": (bool, None),
    "dataset.val_fraction": (float | None, 0),
    "dataset.limit_identities": (int | None, 1),
    "dataset.strict": (bool | None, None),
    "eval.protocol": (str, None),
    "eval.distance": (str, None),
    "eval.batch_size": (int, 1),
    "eval.flip": (bool, None),
    "eval.pool": (str | None, None),
    "eval.split": (str | None, None),
    "image.cache_dir": (str, None),
    "run.root": (str, None),
    "run.name": (str | None, None),
    "run.folder": (str | None, None),
}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", types.NoneType: "null"}


def arguments(given: Mapping[Any, Any], target: Callable[..., Any], name: str) -> None:
    """Check the keys and values of the node ``name`` against the signature and annotations of ``target``.

    Raises:
        UserError: an argument that ``target`` does not take, or a plain value where it wants another type.
    """
    takes = inspect.signature(target).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    kinds = _annotations(target)
    for key, content in given.items():
        if str(key).startswith("_"):
            continue
        if key not in takes and not takes_all:
            known = ", ".join(p for p in takes if p != "self")
            raise UserError(f"unknown config key '{name}.{key}': {getattr(target, '__name__', target)} takes {known}")
        if not (isinstance(content, Mapping) and "_target_" in content):
            value(f"{name}.{key}", content, kinds.get(str(key), Any))


def value(key: str, given: Any, kind: Any, least: float | None = None) -> None:
    """Check one value: its type, and that it is at least ``least``. Raises UserError."""
    kinds = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    plain = [k for k in kinds if k in _WORDS]
    fits = type(given) in plain or (type(given) is int and float in plain)
    if not fits and len(plain) < len(kinds):  # something else is taken too: a scalar is wrong if a scalar is asked for
        fits = not (type(given) in _WORDS and set(plain) - {types.NoneType})
    if not fits:
        raise UserError(f"{key}={given} must be {' or '.join(_WORDS[k] for k in plain)}")
    if least is not None and given is not None and given < least:
        raise UserError(f"{key}={given} must be at least {least}")


def keys(cfg: DictConfig) -> None:
    """UserError for a key at the top of a training config that nothing reads."""
    for key in map(str, cfg):
        if key not in _TRAIN_KEYS:
            raise UserError(f"unknown config key '{key}': known are {', '.join(sorted(_TRAIN_KEYS))}")


def values(cfg: DictConfig, null_is_fine: bool = False) -> None:
    """UserError for a value of the wrong type or too small, among the keys that no signature tells of."""
    for key, (kind, least) in _VALUES.items():
        given = OmegaConf.select(cfg, key)
        if not (given is None and null_is_fine):
            value(key, given, kind, least)


def _annotations(target: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of the parameters; none where they cannot be evaluated, as those for type checkers alone."""
    function = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    written = {k: v for k, v in getattr(function, "__annotations__", {}).items() if k != "return"}
    holder = types.SimpleNamespace(__annotations__=written)
    try:
        return typing.get_type_hints(holder, getattr(function, "__globals__", {}))
    except (NameError, TypeError, AttributeError):
        return {}
