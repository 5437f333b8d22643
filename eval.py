"""Judge a trained embedding:  python eval.py [run=RUN], or eval.py checkpoint=FILE dataset=NAME dataset.root=FOLDER"""

from omegaconf import DictConfig

from reid.door import command


def main(cfg: DictConfig) -> None:
    # torch is imported after --help and spelling errors are dealt with
    from reid.door.arguments import judging_arguments
    from reid.runs.evaluate import evaluate_again

    evaluate_again(**judging_arguments(cfg))


if __name__ == "__main__":
    command.run(main, config_name="eval")
