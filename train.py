"""Train a re-ID embedding and judge it:  python train.py backbone=resnet50 dataset=market1501 dataset.root=..."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from reid.door import command


def main(cfg: DictConfig) -> None:
    # torch is imported after --help and spelling errors are dealt with
    from reid.door.arguments import training_arguments
    from reid.runs.train import train

    train(**training_arguments(cfg, list(HydraConfig.get().overrides.task)))


if __name__ == "__main__":
    command.run(main, config_name="train")
