"""Data sets named in a list, as ``dataset.sets`` and ``eval.targets`` do."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from reid.door import check
from reid.errors import UserError, nearest, unknown

_MANY = "union"  # the option that is no set itself
_OF_ALL = {"protocol": "market1501", "pool": "none", "strict": False}  # of every set, also where its file is silent


def named_sets(given: Any, option: str, leave_out: Collection[str]) -> list[DictConfig]:
    """The node of each set in a list, as ``dataset=NAME`` composes it, and under ``dataset`` that NAME.

    An element is the name of an option, or a mapping with keys that go over those of the option's file. Which option
    its key ``dataset`` says, or ``name``; with both, ``name`` is what the set is called in the results. The nodes are
    such mappings themselves, complete ones.

    Args:
        given: what the config holds.
        option: the key it stands under, for messages.
        leave_out: keys of a data set that mean nothing in this list.

    Raises:
        UserError: no list or an empty one, an element that is no name and no mapping, an option or a key that is not
            there, or two sets of one name.
    """
    elements = OmegaConf.to_container(given, resolve=True) if OmegaConf.is_list(given) else given
    if not isinstance(elements, list) or not elements:
        raise UserError(f"{option}={given} must be a list of data sets, as {option}=[toy,market1501]")
    nodes = [_node(element, option, leave_out) for element in elements]
    names = [node.name for node in nodes]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise UserError(
            f"{option} names {repeated[0]} twice: leave one out, or give it a name of its own, as "
            f"{{dataset:{repeated[0]},name:other,root:FOLDER}}"
        )
    return nodes


@contextlib.contextmanager
def about(option: str, name: object) -> Iterator[None]:
    """What is wrong with one set of a list begins with the list and the set."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{option}, {name}: {error}") from error


def _node(element: Any, option: str, leave_out: Collection[str]) -> DictConfig:
    changes = {"name": element} if isinstance(element, str) else element
    choice = changes.get("dataset", changes.get("name")) if isinstance(changes, Mapping) else None
    if not isinstance(choice, str):
        raise UserError(
            f"{option}: {element} is no data set: write its name, as toy, or a mapping with it, as "
            "{name:market1501,root:FOLDER}"
        )
    node = {"dataset": choice, **_OF_ALL, **_chosen(choice, option)}
    for key in leave_out:
        node.pop(key, None)
    for key in changes:
        if key not in node:
            known = [name for name in node if name != "_target_"]
            way_out = f"{nearest(key, known)}it takes {', '.join(known)}"
            raise UserError(f"{option}, {choice}: unknown key '{key}': {way_out}")
    node |= changes
    with about(option, choice):
        check.value("name", node["name"], str)
        check.values(OmegaConf.create({"dataset": node}), null_is_fine=True)
    return OmegaConf.create(node)


def _chosen(name: str, option: str) -> dict[str, Any]:
    """What ``dataset=NAME`` composes, wherever Hydra finds its options."""
    known = [n for n in GlobalHydra.instance().config_loader().get_group_options("dataset") if n != _MANY]
    if name == _MANY:
        raise UserError(f"{option} cannot hold {_MANY}: name its sets themselves")
    if name not in known:
        raise unknown(option, name, known)
    found: Any = OmegaConf.to_container(compose(None, [f"+dataset={name}"]).dataset, resolve=True)
    return found
