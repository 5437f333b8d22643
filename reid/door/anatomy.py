"""A composed anatomy config -> what to show: one network, several side by side, or a lesson."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from reid.door import check
from reid.door.arguments import backbone_of, image_size, output_file
from reid.errors import UserError, unknown


def anatomy(cfg: DictConfig, overrides: list[str]) -> Callable[[], None]:
    """The function that the config asks for, with its arguments; ``overrides`` are those of the command line."""
    from reid.anatomy.lessons import LESSONS

    check.value("lesson", cfg.lesson, str | None)
    given = {o.partition("=")[0] for o in overrides}
    if cfg.lesson is not None:
        if more := sorted(given - {"lesson", "output"}):
            raise UserError(f"lesson={cfg.lesson} builds its own networks; leave out {', '.join(more)}")
        if cfg.lesson != "all" and cfg.lesson not in LESSONS:
            raise unknown("lesson", cfg.lesson, [*LESSONS, "all"])
        names = list(LESSONS) if cfg.lesson == "all" else [cfg.lesson]
        return partial(_teach, names, output_file(cfg.output, [".json", ".md"]))
    size = image_size(cfg.image.size)
    if cfg.compare is not None:
        output = output_file(cfg.output, [".html", ".md", ".json"])
        if not OmegaConf.is_list(cfg.compare) or not cfg.compare or "backbone" in given:
            raise UserError(f"compare={cfg.compare} must name the backbones, as compare=[resnet50,osnet_x1_0]")
        others = [o for o in overrides if o.partition("=")[0] not in ("compare", "output")]
        nodes = [compose("anatomy", [*others, f"backbone={name}"]).backbone for name in cfg.compare]
        return partial(_compare, nodes, size, Path(cfg.run_root), output)
    return partial(_one, cfg.backbone, size, output_file(cfg.output, [".html", ".json"]))


def _teach(names: list[str], output: Path | None) -> None:
    from reid.anatomy.lessons import LESSONS, to_markdown, to_text

    lessons = []
    for name in names:
        lessons.append(LESSONS[name]())
        print(f"{to_text(lessons[-1])}\n", flush=True)
    _write(output, {
        ".md": lambda: "\n".join(map(to_markdown, lessons)),
        ".json": lambda: {name: lesson.to_dict() for name, lesson in zip(names, lessons, strict=True)},
    })  # fmt: skip


def _compare(nodes: list[DictConfig], size: tuple[int, int], runs: Path, output: Path | None) -> None:
    from reid.report.anatomy_comparison import comparison_markdown, comparison_page, comparison_text
    from reid.runs.accuracies import accuracies

    reached = {name: found.to_dict() for name, found in accuracies(runs, image_size=size).items()}
    networks = []
    for node in nodes:
        networks.append(_plain(*_analysed(node, size)))
        print(f"{networks[-1]['backbone']}, weights {networks[-1]['weights']}", flush=True)
    print(f"\n{comparison_text(networks, accuracy=reached)}")
    _write(output, {
        ".html": lambda: comparison_page(networks, accuracy=reached),
        ".md": lambda: comparison_markdown(networks, accuracy=reached),
        ".json": lambda: networks,
    })  # fmt: skip


def _one(node: DictConfig, size: tuple[int, int], output: Path | None) -> None:
    from reid.anatomy import table
    from reid.report.anatomy_page import anatomy_page

    found, weights = _analysed(node, size)
    print(f"{found.network}, weights {weights}\n\n{table(found)}")
    _write(output, {
        ".html": lambda: anatomy_page(found.to_dict(), title=found.network, weights=weights),
        ".json": lambda: _plain(found, weights),
    })  # fmt: skip


def _analysed(node: DictConfig, size: tuple[int, int]) -> tuple[Any, str]:
    """The Anatomy of a backbone under the name that people know it by, and where its weights came from."""
    from reid.anatomy import analyse

    backbone, _ = backbone_of(node)
    return replace(analyse(backbone, (3, *size)), network=backbone.name), backbone.origin


def _plain(found: Any, weights: str) -> dict[str, Any]:
    return {"backbone": found.network, "weights": weights, **found.to_dict()}


def _write(output: Path | None, kinds: dict[str, Callable[[], Any]]) -> None:
    from reid import files

    if output is None:
        return
    content = kinds[output.suffix.lower()]()
    (files.write if isinstance(content, str) else files.write_json)(output, content)
    print(f"\nwritten  {output}")
