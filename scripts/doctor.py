"""What is wrong with a data set:  python scripts/doctor.py dataset=market1501 dataset.root=... [output=PAGE.html]

Reads every image once and tells, the worst first: damaged and unusual files, copies and near copies across train and
test or across identities, identities that teach nothing, queries that nothing can match. Exit code: 0 healthy, 1
warnings, 2 cannot be used.
"""

import sys
from pathlib import Path

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs without an installation, as train.py does

from reid.door import command


def main(cfg: DictConfig) -> None:
    # torch is imported after --help and spelling errors are dealt with
    from reid.door.doctor import doctor

    raise SystemExit(doctor(cfg))


if __name__ == "__main__":
    command.run(main, config_name="doctor")
