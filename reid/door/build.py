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
from reid.door import check
from reid.errors import UserError

# Of a dataset node, by its reader:
_NOT_READ = ("name", "protocol", "pool", "image_size", "val_fraction", "limit_identities", "strict")


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


def read_split(node: DictConfig, seed: int, whole: bool = False) -> tuple[Split, Split | None]:
    """The data set that a ``dataset`` node names, and its held-out identities where it asks for them.

    ``whole`` leaves the training part as it is read, for judging.

    Raises:
        UserError: among others, with ``strict`` in the node, a set that is not as published, which else is warned of.
    """
    given: dict[Any, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    reader = {k: v for k, v in given.items() if k not in _NOT_READ}
    if _takes(reader.get("_target_"), "name"):
        reader["name"] = str(node.name)
    with _refused(bool(given.get("strict"))):
        split: Split = build(OmegaConf.create(reader), "dataset")
    if "name" not in reader:
        split = replace(split, name=str(node.name))
    if whole:
        return split, None
    if node.get("limit_identities"):
        split = first_identities(split, node.limit_identities)
    if node.get("val_fraction"):
        return hold_out(split, node.val_fraction, seed)
    return split, None


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
