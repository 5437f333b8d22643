"""A data set examined: its files, its labels, and its queries under the protocol that it is to be judged by."""

from collections.abc import Sequence
from dataclasses import replace

from reid.data.doctor import Examination, Finding, examine, one_line, worst_first
from reid.data.doctor import quick as label_findings
from reid.data.records import Split
from reid.data.union import with_tests
from reid.errors import UserError
from reid.evaluation.inputs import labels_alone
from reid.evaluation.protocols import named_protocol
from reid.evaluation.reasons import ABSENT, reasons
from reid.runs.judge import labels_of

_LEFT_OUT = "evaluation leaves these queries out"


def doctor(split: Split, protocols: Sequence[str], workers: int | None = None) -> Examination:
    """Read every file of ``split`` once, by ``workers`` threads, and say what is wrong.

    Of a union the test parts of its sets are looked at too, each against all that is trained on, and the queries of
    each set against its own gallery.

    Args:
        protocols: what ``split`` is judged by, or each set of a union.

    Raises:
        UserError: a protocol is unknown.
    """
    rules = [named_protocol(protocol) for protocol in protocols]
    junk, distractors = [r.junk_pids for r in rules], [r.distractor_pids for r in rules]
    if not split.sets:
        told = examine(split, workers=workers, junk=junk[0], distractors=distractors[0])
        return replace(told, findings=worst_first([*told.findings, *query_findings(split, protocols[0])]))
    told = examine(with_tests(split, junk, distractors), workers=workers)
    queries = [
        replace(finding, name=f"{one.name}: {finding.name}")
        for one, protocol in zip(split.sets, protocols, strict=True)
        for finding in query_findings(one, protocol)
    ]
    return replace(told, findings=worst_first([*told.findings, *queries]))


def quick(split: Split, protocol: str) -> list[Finding]:
    """What the labels alone tell, in a moment; see ``labels_line``."""
    rules = named_protocol(protocol)
    found = label_findings(split, junk=rules.junk_pids, distractors=rules.distractor_pids)
    return [*found, *query_findings(split, protocol)]


def query_findings(split: Split, protocol: str) -> list[Finding]:
    """The queries that no gallery image can match, by reason; an error where none of them has a match.

    Nothing of a set that is for training only, without query and gallery.
    """
    if not split.query and not split.gallery:
        return []
    try:
        inputs = labels_alone(**labels_of(split.query, split.gallery), protocol=protocol)
    except UserError as error:
        return [Finding("error", "reasons why it cannot be judged", 1, f"{error}.")]
    why = reasons(inputs)
    hopeless = sum(map(len, why.values())) == len(split.query)
    told = []
    for reason, queries in why.items():
        if reason == ABSENT:
            way_out = "check that query and gallery come from the same split"
        else:
            way_out = f"protocol {protocol} ignores these images: another one may not, as no_camera ignores no camera"
        meaning = "No query has a match, so there is no number" if hopeless else f"No match: {_LEFT_OUT}"
        files = tuple((split.query[i].path,) for i in queries)
        name = f"queries without a match, {reason}"
        told.append(Finding("error" if hopeless else "warning", name, len(queries), f"{meaning}; {way_out}.", files))
    return told


def labels_line(split: Split, protocol: str, command: str) -> str:
    """What the labels alone tell, as an opening line of a run: "healthy", or what there is and ``command`` for more."""
    found = one_line(quick(split, protocol))
    return f"{found}; {command} tells more" if found else "healthy"
