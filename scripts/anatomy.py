"""What the convolutions of a network do:  python scripts/anatomy.py backbone=resnet50 [output=PAGE.html]

Kinds of convolution, output sizes by the formula, parameters, multiplications, memory, receptive fields in theory and
in effect, what a shifted image changes, and how fast it is here. compare=[resnet50,vgg16] puts networks side by side,
lesson=inception teaches one idea with a small measured table.
"""

import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs without an installation, as train.py does

from reid.door import command


def main(cfg: DictConfig) -> None:
    # torch is imported after --help and spelling errors are dealt with
    from reid.door.anatomy import anatomy

    anatomy(cfg, list(HydraConfig.get().overrides.task))()


if __name__ == "__main__":
    command.run(main, config_name="anatomy")
