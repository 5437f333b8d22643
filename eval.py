"""Judge a trained embedding:  python eval.py [run=RUN], or eval.py checkpoint=FILE dataset=NAME dataset.root=FOLDER,
or features made elsewhere:  python eval.py eval.features=FILE.npz"""

from omegaconf import DictConfig

from reid.door import command


def main(cfg: DictConfig) -> None:
    # torch is imported after --help and spelling errors are dealt with
    from reid.door.judging import judging

    judging(cfg)()


if __name__ == "__main__":
    command.run(main, config_name="eval")
