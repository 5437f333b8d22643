"""Features on a GPU are ranked there, or where one asks; no GPU is needed, see ``stand_in``."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from reference import brute_force, stand_in
from reference.cases import Case, random_case

from reid.errors import UserError
from reid.evaluation import evaluate
from reid.evaluation.precision import full_float32
from reid.evaluation.ranking import rounding, sieve

ON_IT = {"aten::mm", "aten::sparse_sampled_addmm"}
RULES = {"market1501": {"ignore_same_camera": True}, "cross_camera_only": {"ignore_camera": True}}
Rows = np.ndarray


def expected(case: Case, protocol: str) -> list[list[int]]:
    rules = {"ignore_same_camera": False, **RULES[protocol]}
    return [brute_force.match_ranks(*row, distance=case.distance, **rules) for row in case.query_rows()]


def cases(protocol: str, count: int) -> list[Case]:
    """Those in which some query has a match, since the others are refused."""
    return [case for case in map(random_case, range(count)) if any(expected(case, protocol))]


def on_cuda(rows: Rows) -> torch.Tensor:
    return torch.from_numpy(rows).to(stand_in.DEVICE)


def as_they_are(rows: Rows) -> Rows:
    return rows


@pytest.mark.parametrize(("place", "device"), [(on_cuda, None), (as_they_are, "cuda"), (on_cuda, "cuda:0")])
@pytest.mark.parametrize("protocol", RULES)
@pytest.mark.parametrize("many", [0.0, 1.0])
def test_ranks_on_the_device_are_those_of_the_definition(
    monkeypatch: pytest.MonkeyPatch, many: float, protocol: str, place: Callable[[Rows], Any], device: str | None
) -> None:
    monkeypatch.setattr(sieve, "_MANY", many)
    monkeypatch.setattr(sieve, "_WORTH", 1)
    operations = set()
    for case in cases(protocol, 54):
        (query, gallery), options = case.arguments()
        with stand_in.cuda(monkeypatch) as mode:
            result = evaluate(place(query), place(gallery), **options, protocol=protocol, device=device)
        assert [result.match_ranks(i).tolist() for i in range(len(query))] == expected(case, protocol)
        operations |= mode.operations
    assert operations >= ON_IT


def people(noise: float, count: int = 90) -> tuple[Rows, Rows]:
    rng = np.random.default_rng(3)
    pids = np.arange(count) % 9 + 1
    rows = rng.standard_normal((10, 16))[0 if noise < 1e-3 else pids] + noise * rng.standard_normal((count, 16))
    return rows.astype(np.float32), pids


@pytest.mark.parametrize("noise", [0.5, 1e-7, 0.0])
def test_a_streamed_gallery_is_ranked_where_its_blocks_are(monkeypatch: pytest.MonkeyPatch, noise: float) -> None:
    rows, pids = people(noise)
    blocks = [(a, min(a + 13, 90)) for a in range(18, 90, 13)]
    plain = evaluate(rows[:18], rows[18:], query_pids=pids[:18], gallery_pids=pids[18:], protocol="no_camera")
    with stand_in.cuda(monkeypatch) as mode:
        stream = [(on_cuda(rows[a:b]), on_cuda(pids[a:b])) for a, b in blocks]
        moved = evaluate(on_cuda(rows[:18]), stream, query_pids=on_cuda(pids[:18]), protocol="no_camera")
    assert "aten::mm" in mode.operations or noise == 0
    assert [moved.match_ranks(i).tolist() for i in range(18)] == [plain.match_ranks(i).tolist() for i in range(18)]


def test_the_cpu_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, pids = people(0.5)
    with stand_in.cuda(monkeypatch) as mode:
        evaluate(on_cuda(rows), on_cuda(rows), query_pids=pids, gallery_pids=pids, protocol="no_camera", device="cpu")
    assert not mode.operations & ON_IT


def test_vehicles_and_reranking_take_features_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from reid.evaluation import Rerank

    rows, pids = people(0.5)
    labels = {"query_pids": pids, "gallery_pids": pids, "query_camids": pids * 0, "gallery_camids": pids * 0 + 1}
    for options in ({"protocol": "vehicle", "gallery_tracks": np.arange(90)}, {"rerank": Rerank()}):
        plain = evaluate(rows, rows, **labels, **options)
        with stand_in.cuda(monkeypatch):
            moved = evaluate(on_cuda(rows), on_cuda(rows), **labels, **options)
        assert moved.mAP == plain.mAP


@pytest.mark.parametrize("device", ["mps", "cuda:7", "gpu", 3.5])
def test_a_device_that_cannot_do_it_is_told(device: Any) -> None:
    with pytest.raises(UserError, match="device="):
        evaluate(np.eye(2), np.eye(2), query_pids=[1, 2], gallery_pids=[1, 2], protocol="no_camera", device=device)


def test_only_float32_is_proven_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, pids = people(0.5)
    options = {"query_pids": pids, "gallery_pids": pids, "protocol": "no_camera"}
    with stand_in.cuda(monkeypatch), pytest.raises(UserError, match="route='int8'.*device='cpu'"):
        evaluate(on_cuda(rows), on_cuda(rows), **options, route="int8")


def test_a_device_that_rounds_products_more_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    rounding.bounds_hold.cache_clear()
    assert rounding.bounds_hold(torch.device("cpu"))
    rounding.bounds_hold.cache_clear()
    whole = torch.Tensor.__matmul__

    def tf32(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float32:  # TF32 keeps ten bits behind the point
            x, y = ((t.view(torch.int32) & ~0x1FFF).view(torch.float32) for t in (x, y.contiguous()))
        return whole(x, y)

    monkeypatch.setattr(torch.Tensor, "__matmul__", tf32)
    try:
        assert not rounding.bounds_hold(torch.device("cpu"))
    finally:
        rounding.bounds_hold.cache_clear()


def test_what_a_training_script_allows_of_float32_products_is_off_while_ranking_and_on_again() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    products_of = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul
    try:
        allowed = [p.fp32_precision for p in products_of]
        with full_float32():
            assert [p.fp32_precision for p in products_of] == ["ieee", "ieee"]
        assert [p.fp32_precision for p in products_of] == allowed != ["ieee", "ieee"]
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
