"""``eval.targets``: where a model is judged."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from reid.data.records import Split
from reid.door.build import read_named, sets_of
from reid.door.sets import about, named_sets
from reid.errors import UserError

_NOT_TESTED = ("image_size", "val_fraction", "limit_identities")


def spell_out(cfg: DictConfig) -> None:
    """Write into a config what the names in its lists of sets stand for, so that it tells all of a run."""
    if sets := sets_of(cfg.dataset):
        cfg.dataset.sets = sets
    if OmegaConf.select(cfg, "eval.targets") is not None:
        cfg.eval.targets = named_sets(cfg.eval.targets, "eval.targets", leave_out=_NOT_TESTED)


def listed_targets(given: Any, *, asked: Mapping[str, str], distance: str, strict: bool) -> list[Any]:
    """The ``Target`` for each set of the list ``eval.targets``, read.

    Args:
        given: what the config holds under ``eval.targets``.
        asked: "protocol" and "pool" that all are judged by; what is not in it is each set's own.
        distance: for features of a pair.
        strict: refuse a set that is not as published.

    Raises:
        UserError: what is wrong with the list or with a set, or a set that no model can be judged on.
    """
    targets = []
    for node in named_sets(given, "eval.targets", leave_out=_NOT_TESTED):
        with about("eval.targets", node.name):
            split = read_named(node, strict)
            if not split.query:
                raise UserError("it has no queries to judge on: leave it out")
            targets.append(_judged_on(split, node, asked, distance))
    return targets


def own_targets(dataset: DictConfig, split: Split, *, asked: Mapping[str, str], distance: str) -> list[Any]:
    """The ``Target`` that a data set is itself, with the test part of ``split``; of a union one for each of its sets.

    Sets of a union without a test part are passed over.

    Raises:
        UserError: there is no test part, or no model can be judged on it.
    """
    tested = [(one, node) for one, node in zip(split.sets, sets_of(dataset), strict=True) if one.query]
    if not split.sets and split.query:
        return [_judged_on(split, dataset, asked, distance)]
    if not tested:
        raise UserError(f"dataset={split.name} has no test part: say where to judge, as eval.targets=[market1501]")
    targets = []
    for one, node in tested:
        with about("dataset.sets", one.name):
            targets.append(_judged_on(one, node, asked, distance))
    return targets


def asked_of_all(evaluation: Mapping[str, Any], dataset: DictConfig) -> dict[str, str]:
    """The "protocol" and "pool" that are not the data set's own: somebody chose them, for every target."""
    return {name: evaluation[name] for name, own in _own_rules(dataset).items() if evaluation.get(name, own) != own}


def _own_rules(dataset: DictConfig) -> dict[str, str]:
    """What a data set is judged by unless something else is asked for."""
    return {"protocol": dataset.get("protocol") or "market1501", "pool": dataset.get("pool") or "none"}


def _judged_on(split: Split, node: DictConfig, asked: Mapping[str, str], distance: str) -> Any:
    from reid.runs.judge import refuse_hopeless
    from reid.runs.targets import Target

    target = Target(split, **{**_own_rules(node), **asked})
    refuse_hopeless(split, target.protocol, distance, target.pool)
    return target
