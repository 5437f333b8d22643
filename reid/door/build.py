"""Config nodes -> the objects they name."""

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from reid.data.readers.shared import published_log
from reid.data.records import Split, first_identities, hold_out
from reid.data.union import union
from reid.door import check
from reid.door.sets import about, named_sets
from reid.errors import UserError

# Of a dataset node, by its reader:
_NOT_READ = ("name", "protocol", "pool", "image_size", "val_fraction", "limit_identities", "strict")
_UNION = "reid.data.union.union"


def build(node: DictConfig, name: str) -> Any:
    """Call what ``node._target_`` names; UserError for an argument it does not take or a name that is not there."""
    if not OmegaConf.is_config(node) or node.get("_target_") is None:
        raise UserError(f"{name}._target_ is missing: it names the function that builds it")
    _check_node(OmegaConf.to_container(node, resolve=True), name)
    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from error
        if isinstance(cause, TypeError | ValueError):
            raise UserError(f"{name}: {cause}") from error
        raise cause or error from error


def try_out(name: str, function: Callable[..., Any], argument: Any) -> None:
    """Call what training would call much later."""
    try:
        function(argument)
    except UserError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{name}: {error}") from error


def sampler_maker(node: DictConfig) -> Callable[..., Any]:
    """What makes the sampler that a ``sampler`` node names; UserError unless it takes the two arguments of one."""
    make = build(node, "sampler")
    try:
        inspect.signature(make).bind("pictures", "batching")
    except TypeError as error:
        raise UserError(
            f"sampler._target_={node['_target_']} with _partial_: true must make a sampler when it is called with "
            f"(pictures, batching): {error}"
        ) from error
    return make


def read_split(node: DictConfig, seed: int, whole: bool = False) -> tuple[Split, Split | None]:
    """The data set that a ``dataset`` node names, and its held-out identities where it asks for them.

    ``whole`` leaves the training part as it is read, for judging.

    Raises:
        UserError: among others, with ``strict`` in the node, a set that is not as published, which else is warned of.
    """
    limit = None if whole else node.get("limit_identities")
    split = _read_union(node, limit) if node.get("_target_") == _UNION else _limited(_read(node), limit)
    if node.get("val_fraction") and not whole:
        return hold_out(split, node.val_fraction, seed)
    return split, None


def read_named(node: DictConfig, strict: bool) -> Split:
    """The set of a node that ``named_sets`` gives, whole; ``strict`` refuses what is not as published."""
    own = OmegaConf.masked_copy(node, [str(key) for key in node if key != "dataset"])
    own.strict = strict or own.strict
    return _read(own)


def _read(node: DictConfig) -> Split:
    """What the reader of a ``dataset`` node gives, under the name that the node says."""
    given: dict[Any, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    reader = {k: v for k, v in given.items() if k not in _NOT_READ}
    if _takes(reader.get("_target_"), "name"):
        reader["name"] = str(node.name)
    with _refused(bool(given.get("strict"))):
        split: Split = build(OmegaConf.create(reader), "dataset")
    return split if "name" in reader else replace(split, name=str(node.name))


def sets_of(node: DictConfig) -> list[DictConfig]:
    """The nodes of the sets that a union names; none of any other node."""
    if node.get("_target_") != _UNION:
        return []
    if OmegaConf.is_missing(node, "sets"):
        raise UserError("dataset.sets is missing: name the sets to train on, as dataset.sets=[market1501,msmt17]")
    return named_sets(node.sets, "dataset.sets", leave_out=("image_size", "val_fraction"))


def _read_union(node: DictConfig, limit: int | None) -> Split:
    named, sets = sets_of(node), []
    check.arguments({k: v for k, v in node.items() if k not in _NOT_READ}, union, "dataset")
    for one in named:
        with about("dataset.sets", one.name):
            split = read_named(one, strict=bool(node.get("strict")))
            sets.append(_limited(split, one.get("limit_identities") or limit))
    return union(sets, name=str(node.name))


def _limited(split: Split, identities: int | None) -> Split:
    return first_identities(split, identities) if identities else split


@contextmanager
def _refused(on: bool) -> Iterator[None]:
    """If ``on``, readers stop where they would warn that a set is not as published."""
    if on:
        published_log.addFilter(_refuse)
    try:
        yield
    finally:
        published_log.removeFilter(_refuse)


def _refuse(record: logging.LogRecord) -> NoReturn:
    raise UserError(f"{record.getMessage()}: get the whole set, or take it as it is with dataset.strict=false")


def _takes(target: Any, argument: str) -> bool:
    try:
        return argument in inspect.signature(get_object(target)).parameters
    except Exception:  # ``build`` says what is wrong with it
        return False


def _check_node(node: Any, name: str) -> None:
    """Check what a node and those inside it give to the functions that they name."""
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        try:
            target = get_object(node["_target_"])
        except Exception as error:  # whatever the user's own module raises while it is imported
            raise UserError(f"{name}._target_={node['_target_']} cannot be imported: {error}") from error
        check.arguments(node, target, name)
    for key, inner in node.items():
        _check_node(inner, f"{name}.{key}")
