"""Which configs are one experiment, and what sets experiments apart."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from reid.report.text import DASH

Config = Mapping[str, Any]  # dotted key -> value

# Keys, and groups of them (with a dot at the end), that do not make another experiment.
NOT_COUNTED = {
    "seed": "runs that differ in it alone are repeats of one experiment",
    "run.": "what the folder is called and where it is",
    "resume": "a run that went on is the same run",
    "resume_changes": "likewise",
    "logger.": "who is told beside the run folder",
    "logger": "likewise, where there is none",
    "dataset.root": "where the files are; that they are the same the fingerprint says",
    "dataset.strict": "whether unusual counts stop a run",
    "image.cache": "decoded images are the same wherever they are kept",
    "image.cache_dir": "likewise",
    "data.workers": "batches are drawn ahead of them",
    "eval.batch_size": "an image's embedding does not depend on the others of its batch",
    "eval.targets": "where else the same model was judged; each target has a table",
    "backbone.checkpointing": "activations are computed again and are the same",
    "trainer.accelerator": "rounding alone; the number of devices counts, as BatchNorm sees a share of the batch",
    "trainer.strategy": "how the same gradients are summed",
    "trainer.channels_last": "the order of numbers in memory",
    "trainer.compile": "the same network, faster",
    "trainer.checkpoint_every_n_epochs": "what is kept beside",
    "trainer.checkpoint_every_n_steps": "likewise",
    "trainer.log_every_n_steps": "how often loggers are told",
    "trainer.profiler": "a measurement",
}

_PLAIN = ("image", "data", "eval", "trainer")  # groups that have the same keys whatever is chosen


@lru_cache(maxsize=4096)
def counts(key: str, ignored: tuple[str, ...] = ()) -> bool:
    """Whether another value of this key is another experiment; ``ignored`` are further keys or groups that are not."""
    return not any(key == k or (k.endswith(".") and key.startswith(k)) for k in (*NOT_COUNTED, *ignored))


def experiment(config: Config, ignored: tuple[str, ...] = ()) -> tuple[tuple[str, str], ...]:
    """What the config says that counts, to compare and to hash."""
    return tuple(sorted((key, spelled(value)) for key, value in config.items() if counts(key, ignored)))


def spelled(value: Any) -> str:
    """A value as the command line takes it.

    >>> spelled(None), spelled(True), spelled([256, 128]), spelled(3.5e-4), spelled({})
    ('null', 'true', '[256,128]', '0.00035', '{}')
    """
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def columns(configs: Sequence[Config], ignored: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """The keys in which ``configs`` differ, and the value of each config; a dash where it has no such key.

    An option brings keys and takes others away. So a ``_target_`` is left out where the ``name`` beside it tells as
    much, and a key with a single value among those that have it where the other columns of its group do.
    """
    keys = dict.fromkeys(key for config in configs for key in config if counts(key, ignored))
    cells = {key: [spelled(c[key]) if key in c else DASH for c in configs] for key in keys}
    cells = {key: values for key, values in cells.items() if len(set(values)) > 1}
    shown = {}
    for key, values in cells.items():
        beside = cells.get(f"{key.removesuffix('_target_')}name") if key.endswith("._target_") else None
        if len(set(values) - {DASH}) > 1 and not (beside and _told_by([beside], values)):
            shown[key] = values
    for key, values in cells.items():
        group = [other for k, other in shown.items() if k.partition(".")[0] == key.partition(".")[0]]
        if len(set(values) - {DASH}) == 1 and not _told_by(group, values):
            shown[key] = values
    return {key: _short_targets(key, shown[key]) for key in cells if key in shown}


def _told_by(group: Sequence[Sequence[str]], values: Sequence[str]) -> bool:
    """Whether rows that are alike in every column of ``group`` are alike in ``values`` too."""
    together = list(zip(*group, strict=True)) if group else [()] * len(values)
    return len(set(zip(together, values, strict=True))) == len(set(together))


def _short_targets(key: str, values: Sequence[str]) -> list[str]:
    """The last part of a function's name, where that is enough."""
    if not key.endswith("._target_"):
        return list(values)
    short = {value: value.rpartition(".")[2] for value in values}
    return [short[v] if len(set(short.values())) == len(short) else v for v in values]


def headings(shown: Iterable[str], keys: Collection[str]) -> dict[str, str]:
    """A short name for each shown key: its last parts, as many as no other of ``keys`` ends in.

    >>> headings(["optimizer.lr", "backbone.name", "a.weight"], ["optimizer.lr", "backbone.name", "b.weight"])
    {'optimizer.lr': 'lr', 'backbone.name': 'backbone', 'a.weight': 'a.weight'}
    """
    found: dict[str, str] = {}
    others = {_named(key) for key in keys}
    for key in shown:
        parts = _named(key).split(".")
        for count in range(1, len(parts) + 1):
            short = ".".join(parts[-count:])
            alike = [o for o in others if o != _named(key) and (o == short or o.endswith(f".{short}"))]
            if not alike:
                break
        found[key] = key if short in found.values() else short
    return found


def _named(key: str) -> str:
    """The key of a choice is what it is a choice of."""
    stem, _, last = key.rpartition(".")
    return stem if stem and last in ("_target_", "name") else key


def lacking(configs: Sequence[Config]) -> tuple[int, list[str]]:
    """How many configs lack keys that every run of the others' version has, and these keys.

    Only keys that count and that no choice of an option brings or takes away are looked at: those of ``_PLAIN`` groups.
    """
    plain = {key for c in configs for key in c if key.partition(".")[0] in _PLAIN and counts(key)}
    short = [plain - c.keys() for c in configs]
    return sum(map(bool, short)), sorted(set().union(*short))
