"""A composed eval config -> what to do: judge a model, or features, or two runs against each other."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from reid.door import check, stored
from reid.door.arguments import cache_of, output_file
from reid.door.build import read_split
from reid.door.targets import asked_of_all, listed_targets, own_targets
from reid.errors import UserError
from reid.runs.folder import RunFolder

_MODEL_ONLY = ("feature", "batch_size", "flip", "pool")
_UNNAMED = {"strict": None}  # a dataset node where no data set is chosen


def judging(cfg: DictConfig) -> Callable[[], Any]:
    """The function that an eval config asks for, with its arguments."""
    from reid.data.attributes import read_attributes
    from reid.runs.beside import Beside

    check.values(cfg, null_is_fine=True)
    check.value("eval.translate", cfg.eval.translate, bool)
    for key in ("features", "attributes"):
        check.value(f"eval.{key}", cfg.eval[key], str | None)
    attributes = None if cfg.eval.attributes is None else read_attributes(cfg.eval.attributes)
    beside = Beside(cfg.eval.index, cfg.eval.translate, attributes)
    rerank = _rerank(cfg.eval.rerank)
    output = output_file(cfg.output)
    from reid.training.launch import launched

    if launched() and (cfg.eval.features is not None or cfg.eval.compare is not None):
        raise UserError("eval.features and eval.compare are work for one process: start them without torchrun and srun")
    if cfg.eval.features is not None:
        return _of_features(cfg, rerank, beside, output)
    if cfg.eval.compare is not None:
        return _of_two(cfg, rerank, beside, output)
    from reid.runs.evaluate import evaluate_again

    return partial(evaluate_again, **model_arguments(cfg, rerank), beside=beside, output=output)


def _of_features(cfg: DictConfig, rerank: Any, beside: Any, output: Path | None) -> Callable[[], Any]:
    from reid.runs.features import judge_features

    given = [name for name in ("run", "checkpoint") if cfg.get(name) is not None]
    given += ["dataset"] if cfg.get("dataset") not in (None, _UNNAMED) else []
    given += [f"eval.{name}" for name in (*_MODEL_ONLY, "targets", "compare") if cfg.eval[name] is not None]
    if given:
        raise UserError(f"eval.features={cfg.eval.features} holds features and labels; leave out {', '.join(given)}")
    return partial(
        judge_features,
        file=Path(cfg.eval.features).expanduser(),
        protocol=cfg.eval.protocol or "market1501",
        distance=cfg.eval.distance or "cosine",
        rerank=rerank,
        beside=beside,
        output=output,
    )


def _of_two(cfg: DictConfig, rerank: Any, beside: Any, output: Path | None) -> Callable[[], Any]:
    from reid.runs.compare import compare_runs

    two = cfg.eval.compare
    if not OmegaConf.is_list(two) or len(two) != 2 or not all(isinstance(run, str) for run in two):
        raise UserError(f"eval.compare={two} must name two run folders, as eval.compare=[RUN_A,RUN_B]")
    asked = beside.index or beside.translate or beside.attributes
    if cfg.run is not None or cfg.checkpoint is not None or output or asked:
        raise UserError("eval.compare goes without run, checkpoint, output, eval.index, translate and attributes")
    if OmegaConf.is_list(cfg.eval.targets) and len(cfg.eval.targets) > 1:
        raise UserError(f"eval.compare goes with one target: leave one in eval.targets={cfg.eval.targets}")
    models = []
    for run in two:
        one = cfg.copy()
        one.run = run
        models.append(model_arguments(one, rerank, option="eval.compare"))
    return partial(compare_runs, *models)


def model_arguments(cfg: DictConfig, rerank: Any = None, option: str = "run") -> dict[str, Any]:
    """The model, the data and the rules: those of the run or checkpoint where the config says nothing else."""
    from reid import processes
    from reid.models.checkpoint import load_trained
    from reid.models.embedder import FEATURES
    from reid.runs.judge import Judging
    from reid.training.launch import join
    from reid.training.settings import device_for

    run, told = None, OmegaConf.create()
    if cfg.checkpoint is not None and cfg.run is not None:
        raise UserError(f"run={cfg.run} and checkpoint={cfg.checkpoint}: give one of the two")
    if cfg.checkpoint is not None:
        if not _named(cfg) and cfg.eval.targets is None:
            raise UserError(
                "checkpoint= needs the data to judge on: add dataset=NAME dataset.root=FOLDER, or several eval.targets"
            )
        checkpoint, model, option = Path(cfg.checkpoint).expanduser(), Path(cfg.checkpoint).name, "checkpoint"
    else:
        run = RunFolder.open(cfg.run, option=option) if cfg.run else RunFolder.newest(Path(cfg.run_root))
        run.need_checkpoint(option=option)
        checkpoint, model = run.reported()
        told = stored.config_of(run)
    accelerator = cfg.accelerator or OmegaConf.select(told, "trainer.accelerator") or "auto"
    device = device_for(accelerator, option="accelerator")
    join(device)
    asked = OmegaConf.create({"image": cfg.image, "data": cfg.data})
    for key, otherwise in {
        "image.cache": "disk",
        "image.cache_dir": ".cache/images",
        "data.skip_unreadable": False,
    }.items():
        if OmegaConf.select(asked, key) is None:
            OmegaConf.update(asked, key, OmegaConf.select(told, key, default=otherwise))
    trained = load_trained(checkpoint, option=option, trust=run is not None)
    rules: Mapping[str, Any] = {
        name: cfg.eval[name] for name in ("protocol", "distance", *_MODEL_ONLY) if cfg.eval[name] is not None
    }
    evaluation = {**trained.spec["evaluation"], **rules}
    targets, again = _targets(cfg, told, evaluation, bool(trained.embedder.backbone.cameras))
    on_validation = OmegaConf.select(told, "eval.split") == "validation"  # its numbers are not those of the test set
    feature = evaluation.pop("feature", None)
    if feature is not None:
        if feature not in FEATURES:
            raise UserError(f"eval.feature={feature} is unknown: choose one of {', '.join(FEATURES)}")
        trained.embedder.feature = feature
    return {
        "trained": trained,
        "checkpoint": checkpoint,
        "targets": targets,
        "how": Judging(
            **evaluation,
            device=device,
            cache=cache_of(asked),
            skip_unreadable=asked.data.skip_unreadable,
            bf16=trained.spec["bf16"],
            rerank=rerank,
            together=processes.count() > 1,
        ),
        "model": model,
        "recorded": run.metrics if run is not None and again and not on_validation else None,
    }


def _named(cfg: DictConfig) -> bool:
    """Whether a data set is chosen; without one the node has at most the keys that every data set takes."""
    return bool(set(cfg.get("dataset") or {}) - set(_UNNAMED))


def _targets(
    cfg: DictConfig, told: DictConfig, evaluation: Mapping[str, Any], knows_cameras: bool
) -> tuple[list[Any], bool]:
    """Where to judge, and whether that is where the run was judged: so where the config names no set.

    Args:
        told: the config of the run, empty without one.
        evaluation: the rules, those of the run under what the config asks for.
        knows_cameras: the net looks at the camera of an image.
    """
    dataset, listed, strict = cfg.get("dataset"), cfg.eval.targets, OmegaConf.select(cfg, "dataset.strict")
    if _named(cfg) and listed is not None:
        raise UserError("dataset= and eval.targets= both say where to judge: give one of the two")
    again = not _named(cfg) and listed is None
    if again:
        dataset, listed = told.dataset, OmegaConf.select(told, "eval.targets")
        dataset.strict = dataset.get("strict") if strict is None else strict
    asked = {name: cfg.eval[name] for name in ("protocol", "pool") if cfg.eval[name] is not None}
    how = {
        "asked": {**(asked_of_all(evaluation, dataset) if again else {}), **asked},
        "distance": evaluation["distance"],
    }
    if listed is None:
        return own_targets(dataset, read_split(dataset, seed=0, whole=True)[0], **how), again
    if knows_cameras:
        raise UserError(
            "eval.targets: a net that was made with backbone.cameras knows the cameras of its own set, and those of "
            "other sets are others: leave eval.targets out"
        )
    return listed_targets(listed, **how, strict=bool((dataset or {}).get("strict"))), again


def _rerank(asked: Any) -> Any:
    """``Rerank`` for true or for its values, None for false."""
    from reid.evaluation import Rerank

    if isinstance(asked, bool):
        return Rerank() if asked else None
    if not OmegaConf.is_dict(asked):
        raise UserError(f"eval.rerank={asked} must be true, false or values such as {{k1:20,k2:6,lambda_value:0.3}}")
    check.arguments(asked, Rerank, "eval.rerank")
    return Rerank(**asked)
