"""The options of eval.py beside its main job: arrays, an index, re-ranking, mirror images, two runs, translation."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli.entry import Outcome, in_process

from reid.evaluation import Rerank, evaluate


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((9, 16))
    pids = {"query": rng.integers(1, 9, 20), "gallery": rng.integers(0, 9, 120)}
    given = {f"{side}_pids": values for side, values in pids.items()}
    for side, values in pids.items():
        given[f"{side}_features"] = (centres[values] + rng.standard_normal((len(values), 16))).astype(np.float32)
        given[f"{side}_camids"] = rng.integers(1, 4, len(values))
    return given


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "some.npz", **arrays())
    return tmp_path / "some.npz"


def numbers(outcome: Outcome, path: Path) -> dict:
    outcome.check()
    return json.loads(path.read_text())


def test_arrays_from_a_file_are_judged_as_by_evaluate(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    found = numbers(in_process("eval.py", f"eval.features={file}", f"output={out}"), out)
    result = evaluate(**arrays())
    assert found["mAP"] == result.mAP
    assert found["protocol"] == result.stamp
    assert found["by_camera"] == result.by_camera().to_dict()
    assert found["mAP_interval"] == [result.confidence_interval().low, result.confidence_interval().high]


def test_rules_and_re_ranking_apply_to_arrays(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    asked = [f"eval.features={file}", f"output={out}", "eval.protocol=no_camera", "eval.distance=euclidean"]
    found = numbers(in_process("eval.py", *asked, "eval.rerank={k1:5,k2:2,lambda_value:0.5}"), out)
    labels = {k: v for k, v in arrays().items() if not k.endswith("camids")}
    result = evaluate(**labels, protocol="no_camera", distance="euclidean", rerank=Rerank(5, 2, 0.5))
    assert (found["mAP"], found["protocol"]) == (result.mAP, result.stamp)


def test_an_exact_index_finds_the_exact_numbers(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    found = numbers(in_process("eval.py", f"eval.features={file}", f"output={out}", "eval.index=flat"), out)
    assert found["index"]["mAP"] == pytest.approx(found["mAP"])
    assert "FAISS flat" in found["index"]["protocol"]


def test_a_run_is_judged_with_mirror_images_and_says_so(finished: Outcome, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    outcome = in_process("eval.py", f"run={finished.run}", "eval.flip=true", f"output={out}")
    found = numbers(outcome, out)
    assert "flip: mirror image's embedding added" in found["protocol"]
    assert "judged by other rules" in outcome.out


def test_numbers_by_attribute_of_people(file: Path, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text("pid,hat\n" + "".join(f"{pid},{'yes' if pid % 2 else 'no'}\n" for pid in range(1, 9)))
    out = tmp_path / "out.json"
    outcome = in_process("eval.py", f"eval.features={file}", f"output={out}", f"eval.attributes={table}")
    rows = numbers(outcome, out)["by_attribute"]["rows"]
    result, odd = evaluate(**arrays()), arrays()["query_pids"] % 2 == 1
    assert [(row["value"], row["queries"]) for row in rows] == [("no", (~odd).sum()), ("yes", odd.sum())]
    assert [row["mAP"] for row in rows] == pytest.approx([np.nanmean(result.ap[~odd]), np.nanmean(result.ap[odd])])
    assert f"{rows[0]['mAP']:.2%}" in outcome.out


def test_numbers_of_a_run_by_attribute(finished: Outcome, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("pid,hat\n" + "".join(f"{pid},yes\n" for pid in range(1, 2000)))
    out = tmp_path / "out.json"
    asked = [f"run={finished.run}", f"output={out}", f"eval.attributes={tmp_path / 'people.csv'}"]
    found = numbers(in_process("eval.py", *asked), out)
    (row,) = found["by_attribute"]["rows"]
    assert (row["queries"], row["mAP"]) == (found["queries"], pytest.approx(found["mAP"]))


def test_translation_of_a_run_lists_the_frameworks(finished: Outcome, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    found = numbers(in_process("eval.py", f"run={finished.run}", "eval.translate=true", f"output={out}"), out)
    rows = {row["framework"]: row for row in found["translation"]["rows"]}
    # of the features before they are brought to length 1: a hardly trained network has near ties that rounding decides
    assert rows["ours"]["mAP"] == pytest.approx(found["mAP"], abs=0.02)
    assert {"torchreid", "fast-reid", "centroids-reid"} <= set(rows)


def test_a_run_against_itself_differs_in_nothing(finished: Outcome) -> None:
    outcome = in_process("eval.py", f"eval.compare=[{finished.run},{finished.run}]").check()
    assert "+0.00" in outcome.out
    assert "1.0000" in outcome.out


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["eval.features={work}/none.npz"], ["none.npz: no such file"]),
        (["eval.features={work}/other.npz"], ["lacks gallery_features", "holds labels", "known arrays are"]),
        (["eval.features={work}/text.npz"], ["text.npz is not an .npz file"]),
        (["eval.features={work}/some.npz", "eval.flip=true"], ["leave out eval.flip"]),
        (["eval.features={work}/some.npz", "run=x"], ["leave out run"]),
        (["eval.features={work}/some.npz", "eval.targets=[toy]"], ["leave out eval.targets"]),
        (["eval.features={work}/nan.npz"], ["gallery_features: row 3 holds"]),
        (["eval.features={work}/short.npz"], ["query_pids has 19 values for 20 images"]),
        (["eval.index=tree"], ["eval.index=tree is unknown", "hnsw"]),
        (["eval.rerank=3"], ["eval.rerank=3 must be true, false or values"]),
        (["eval.rerank={k3:1}"], ["eval.rerank.k3", "k1, k2, lambda_value"]),
        (["eval.rerank={k1:0}"], ["k1=0"]),
        (["eval.compare=[a]"], ["eval.compare=['a'] must name two run folders"]),
        (["eval.compare=[a,b]"], ["eval.compare=a is not a folder"]),
        (["eval.compare=[a,b]", "eval.index=flat"], ["eval.compare goes without"]),
        (["eval.attributes={work}/none.csv"], ["eval.attributes=", "none.csv: no such file"]),
        (["eval.attributes={work}/some.npz"], ["some.npz must be a .csv or .mat file"]),
        (["eval.attributes=3"], ["eval.attributes=3 must be text or null"]),
        (["eval.compare=[a,b]", "eval.attributes={work}/people.csv"], ["eval.compare goes without"]),
        (["eval.translate=maybe"], ["eval.translate=maybe must be true or false"]),
    ],
)
def test_a_slip_is_one_line(asked: list[str], says: list[str], file: Path) -> None:
    work = file.parent
    np.savez(work / "other.npz", query_features=np.eye(2), query_pids=[1, 2], gallery_pids=[1, 2], labels=[1])
    (work / "people.csv").write_text("pid,hat\n1,yes\n")
    (work / "text.npz").write_text("not an archive")
    damaged = arrays()
    damaged["gallery_features"][3, 2] = np.nan
    np.savez(work / "nan.npz", **damaged)
    np.savez(work / "short.npz", **(arrays() | {"query_pids": arrays()["query_pids"][:-1]}))
    outcome = in_process("eval.py", f"run_root={work}", *(a.replace("{work}", str(work)) for a in asked))
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    for part in says:
        assert part in outcome.err
