"""Where a model is judged: on one test set, or on several, each by its own protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reid import files
from reid.data.records import Split
from reid.models.embedder import Embedder
from reid.report import write_report
from reid.runs.folder import RunFolder
from reid.runs.judge import Judgement, Judging, help_to_judge, judge, metrics
from reid.runs.per_query import COLUMNS, per_query_files
from reid.training.progress import read_log


@dataclass(frozen=True)
class Target:
    """The query and gallery of ``split``, judged by the protocol of that name, as images or (``pool``) as tracks."""

    split: Split
    protocol: str
    pool: str = "none"

    def judge(self, embedder: Embedder, how: Judging) -> Judgement:
        """Judge as ``how`` says, by this target's rules."""
        return judge(embedder, self.split, self._how(how))

    def help_to_judge(self, embedder: Embedder, how: Judging) -> None:
        """What the other processes do while the first judges."""
        help_to_judge(embedder, self.split, self._how(how))

    def _how(self, how: Judging) -> Judging:
        return replace(how, protocol=self.protocol, pool=self.pool)

    def row(self, judgement: Judgement) -> dict[str, Any]:
        """The numbers of this target, with its name and the number of gallery images."""
        return {"dataset": self.split.name, **metrics(judgement), "gallery": len(judgement.gallery)}


def results(rows: Sequence[Mapping[str, Any]], **facts: Any) -> dict[str, Any]:
    """The content of metrics.json: the numbers of the first target, and of several all under "targets".

    Args:
        rows: of each target.
        facts: what holds for all of them.
    """
    first = {k: v for k, v in rows[0].items() if k not in ("dataset", "gallery")}
    one = {**first, **facts, "dataset": rows[0]["dataset"]}
    return one if len(rows) == 1 else {**one, "targets": [dict(row) for row in rows]}


def sizes(targets: Sequence[Target]) -> str:
    """Queries and gallery images in words, of several targets a line each."""
    lines = [f"{len(t.split.query)} queries, {len(t.split.gallery)} gallery images" for t in targets]
    if len(targets) > 1:
        lines = [f"{t.split.name}: {line}" for t, line in zip(targets, lines, strict=True)]
    return "\n".join(lines)


def write_results(
    run: RunFolder,
    embedder: Embedder,
    targets: Sequence[Target],
    how: Judging,
    *,
    summary: Mapping[str, str],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Judge on every target and write the results into ``run``; returns what metrics.json holds.

    Args:
        summary: the opening lines, for the page.
        facts: what metrics.json tells beside the numbers.
    """
    rows: list[dict[str, Any]] = []
    for target, file in zip(targets, per_query_files([t.split.name for t in targets]), strict=True):
        judgement = target.judge(embedder, how)
        rows.append(target.row(judgement))
        files.write_csv(run.path / file, COLUMNS, judgement.per_query(target.split.root))
        if len(rows) == 1:
            cmc, ranked = judgement.evaluation.cmc, judgement.ranked()
    numbers = results(rows, **facts)
    write_report(
        run.report,
        title=run.path.name,
        summary=dict(summary),
        metrics=numbers,
        cmc=cmc,
        log=[dict(row) for row in read_log(run.log)],
        ranked=ranked,
        config=run.config.read_text(),
    )
    files.write_json(run.metrics, numbers)  # last: a run with metrics.json is complete
    return numbers
