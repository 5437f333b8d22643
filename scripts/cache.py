"""The stores of decoded images:  python scripts/cache.py [cache_dir=FOLDER] [remove=unused|all|NAME] [older_than=DAYS]

Lists them, or removes those that no run has opened for some days, all, or one. A store that a run uses or builds stays.
"""

import sys
from pathlib import Path

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs without an installation, as train.py does

from reid.door import command


def main(cfg: DictConfig) -> None:
    from reid.door.cache import cache

    cache(cfg)


if __name__ == "__main__":
    command.run(main, config_name="cache")
