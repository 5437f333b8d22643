"""A composed cache config -> the stores of decoded images, listed or removed."""

import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from reid.data.room import spelled
from reid.data.stores import Store, remove, stores
from reid.door import check
from reid.errors import UserError, nearest
from reid.report.store_table import store_table

_BUSY = ("in use", "being built")
_DAY = 24 * 60 * 60


def cache(cfg: DictConfig) -> None:
    """List the stores in ``cache_dir``, or remove those that ``remove`` names."""
    check.value("cache_dir", cfg.cache_dir, str)
    check.value("older_than", cfg.older_than, float, 0)
    check.value("remove", cfg.remove, str | None)
    folder = Path(cfg.cache_dir).expanduser()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"cache_dir={folder} is not a folder")
    found = stores(folder)
    if cfg.remove is None:
        print(store_table(found, str(folder)))
    else:
        _remove(_chosen(found, cfg.remove, cfg.older_than))


def _chosen(found: Sequence[Store], which: str, days: float) -> list[Store]:
    if which == "all":
        return list(found)
    if which == "unused":
        old = time.time() - days * _DAY
        return [s for s in found if s.state not in _BUSY and (s.state != "complete" or s.used < old)]
    if which not in [s.name for s in found]:
        near = nearest(which, ["all", "unused", *(s.name for s in found)])
        raise UserError(
            f"remove={which} is not all, unused or a store that is there: {near}without remove= it lists them"
        )
    return [s for s in found if s.name == which]


def _remove(chosen: Sequence[Store]) -> None:
    freed = 0
    for store in chosen:
        try:
            gone = remove(store.path)
        except OSError as error:
            raise UserError(f"{store.path} cannot be removed: {error.strerror or error}") from error
        freed += store.size * gone
        print(
            f"removed {store.name} ({spelled(store.size)})" if gone else f"left    {store.name}, which a run has open"
        )
    print(f"freed   {spelled(freed)}")
