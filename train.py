"""Train a re-ID embedding and judge it:  python train.py backbone=resnet50 dataset=market1501 dataset.root=..."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from reid.door import command


def main(cfg: DictConfig) -> float | None:
    """Returns the mAP on held-out identities where the run is judged on these, for sweepers; never the test set's."""
    # torch is imported after --help and spelling errors are dealt with
    from reid.door.arguments import training_arguments
    from reid.runs.train import train

    numbers = train(**training_arguments(cfg, list(HydraConfig.get().overrides.task)))
    return numbers["mAP"] if numbers.get("split") == "validation" else None


if __name__ == "__main__":
    command.run(main, config_name="train")
