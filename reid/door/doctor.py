"""A composed doctor config -> the data set examined, told and written."""

from pathlib import Path

from omegaconf import DictConfig

from reid.door import check
from reid.door.arguments import output_file
from reid.door.build import read_split, sets_of
from reid.door.targets import asked_of_all


def doctor(cfg: DictConfig) -> int:
    """Examine the data set that the config names; the exit code: 0 healthy, 1 warnings, 2 cannot be used."""
    check.value("protocol", cfg.protocol, str)
    check.value("dataset.strict", cfg.dataset.strict, bool)
    check.value("workers", cfg.workers, int | None, 1)
    output = output_file(cfg.output, [".html", ".json"])
    split, _ = read_split(cfg.dataset, seed=0, whole=True)

    from reid.data.doctor import exit_code
    from reid.report.doctor_text import doctor_text
    from reid.runs.doctor import doctor as examine

    asked = asked_of_all({"protocol": cfg.protocol}, cfg.dataset)
    protocols = [asked.get("protocol", node.protocol) for node in sets_of(cfg.dataset)] or [cfg.protocol]
    told = examine(split, protocols, cfg.workers)
    found = told.to_dict()
    print(doctor_text(found))
    if output is not None:
        _write(output, found)
        print(f"\nwritten  {output}")
    return exit_code(told.findings)


def _write(output: Path, found: dict) -> None:
    from reid import files
    from reid.report.doctor_page import doctor_page

    if output.suffix.lower() == ".json":
        files.write_json(output, found)
    else:
        files.write(output, doctor_page(found))
