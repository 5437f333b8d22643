"""The leaderboard against means, spreads and tests worked out apart from it."""

import json
import os
import shutil
from pathlib import Path

import board_runs
import numpy as np
import pytest
from board_runs import AP, PIDS, only, write
from scipy import stats

from reid.evaluation import compare, evaluate
from reid.runs.leaderboard import leaderboard
from reid.runs.leaderboard.configs import columns, headings
from reid.runs.leaderboard.importance import importance

RNG = np.random.default_rng(4)


def shifted(by: float, noise: float = 0.02) -> np.ndarray:
    return np.clip(AP + by + noise * RNG.normal(size=24), 0.001, 1).round(6)


@pytest.fixture
def sweep(tmp_path: Path) -> dict[str, np.ndarray]:
    """Two backbones of three seeds each; per-query AP by folder."""
    ap = {}
    for backbone, by in (("resnet18", 0.0), ("resnet50", 0.1)):
        for seed in (0, 1, 2):
            name = f"2026-01-01/{backbone}_{seed}"
            ap[name] = shifted(by)
            write(tmp_path / name, ap[name], changes={"backbone__name": backbone, "seed": seed, "run__root": name})
    return ap


def test_seeds_are_one_row_with_their_mean_and_spread(sweep: dict[str, np.ndarray], tmp_path: Path) -> None:
    table = only(leaderboard([tmp_path]))
    assert table.columns == {"backbone.name": "backbone"}
    assert [row.settings["backbone.name"] for row in table.rows] == ["resnet50", "resnet18"]
    for row in table.rows:
        maps = [sweep[folder].mean() for folder in row.folders]
        assert row.seeds == (0, 1, 2)
        assert row.mean("mAP") == pytest.approx(sum(maps) / 3)
        assert row.spread("mAP") == pytest.approx(np.sqrt(sum((m - sum(maps) / 3) ** 2 for m in maps) / 2))
        assert row.interval == (0.25, 0.75)
        # 3600 images in 36 s, and twice 3600 in 18 s
        assert row.images_per_s == pytest.approx(3 * 3600 / 72)
        assert row.hours == pytest.approx(72 / 3600)
        assert row.parameters == 11_200_000


def test_rows_are_tested_as_compare_tests_two_evaluations(sweep: dict[str, np.ndarray], tmp_path: Path) -> None:
    best, other = only(leaderboard([tmp_path])).rows
    difference = np.mean([sweep[f] for f in other.folders], axis=0) - np.mean([sweep[f] for f in best.folders], axis=0)
    by_identity = [difference[pid == PIDS].sum() for pid in range(8)]
    # every one of the 2^8 swaps of identities, listed by scipy
    test = stats.permutation_test(
        (by_identity,), np.sum, permutation_type="samples", alternative="two-sided", n_resamples=np.inf
    )
    assert best.versus is None
    assert other.versus is not None
    assert other.versus.difference == pytest.approx(difference.mean())
    assert other.versus.p == pytest.approx(test.pvalue)
    assert other.versus.holm == other.versus.p  # a single test


def test_single_runs_are_compared_as_their_embeddings_are(tmp_path: Path) -> None:
    labels = {"query_pids": np.repeat(np.arange(8), 3), "gallery_pids": np.repeat(np.arange(8), 4)}
    found = []
    for name, noise in (("a", 0.9), ("b", 1.1)):
        centres = RNG.normal(size=(8, 6))
        query, gallery = (centres[p] + noise * RNG.normal(size=(len(p), 6)) for p in labels.values())
        one = evaluate(query, gallery, **labels, protocol="no_camera")
        found.append(one)
        write(tmp_path / name, one.ap, changes={"backbone__name": name})
    table = only(leaderboard([tmp_path]))
    best, other = sorted(found, key=lambda one: -one.mAP)
    expected = compare(best, other)
    versus = table.rows[1].versus
    assert versus is not None
    assert versus.difference == pytest.approx(expected.difference, abs=1e-6)  # AP is written with six decimals
    assert (versus.low, versus.high) == pytest.approx((expected.interval.low, expected.interval.high), abs=1e-6)
    assert versus.p == pytest.approx(expected.p_value)


def test_by_rank_1(tmp_path: Path) -> None:
    half, most = np.where(np.arange(24) % 2, 0.6, 0.4), np.where(np.arange(24) % 4, 0.51, 0.1)
    write(tmp_path / "half", half, changes={"backbone__name": "half"})
    write(tmp_path / "most", most, changes={"backbone__name": "most"})
    first, second = only(leaderboard([tmp_path], metric="rank-1")).rows
    assert first.settings["backbone.name"] == "most"
    assert second.versus is not None
    assert second.versus.difference == pytest.approx(12 / 24 - 18 / 24)
    assert only(leaderboard([tmp_path])).rows[0].settings["backbone.name"] == "half"


def test_several_tests_are_held_against_their_number(tmp_path: Path) -> None:
    for name, by in (("a", 0.2), ("b", 0.19), ("c", 0.1), ("d", 0.0)):
        write(tmp_path / name, shifted(by), changes={"backbone__name": name})
    rows = only(leaderboard([tmp_path])).rows
    versus = [row.versus for row in rows[1:] if row.versus]
    p = sorted(v.p for v in versus)
    adjusted = np.minimum(1, np.maximum.accumulate([3 * p[0], 2 * p[1], p[2]]))
    assert sorted(v.holm for v in versus) == pytest.approx(adjusted)
    few = only(leaderboard([tmp_path], top=2))
    assert [row.versus is not None for row in few.rows] == [False, True, False, False]
    assert few.tested == 2


def test_what_does_not_change_the_outcome_makes_no_row(tmp_path: Path) -> None:
    write(tmp_path / "a", AP)
    unlike = {"trainer__accelerator": "cpu", "image__cache": False, "data__workers": 4, "dataset__root": "/else"}
    write(tmp_path / "b", AP, changes={**unlike, "seed": 1, "logger___target_": "x", "eval__targets": ["toy"]})
    table = only(leaderboard([tmp_path]))
    assert table.columns == {}
    assert len(table.rows) == 1
    write(tmp_path / "c", AP, changes={"seed": 2, "trainer__max_epochs": 9})
    assert only(leaderboard([tmp_path])).columns == {"trainer.max_epochs": "max_epochs"}
    assert len(only(leaderboard([tmp_path], ignored=["trainer."])).rows) == 1


def test_of_a_repeated_seed_the_newest_counts(tmp_path: Path) -> None:
    for i, name in enumerate("ab"):
        write(tmp_path / name, AP - 0.005 * i)
        os.utime(tmp_path / name / "metrics.json", (1000 - i, 1000 - i))
    table = only(leaderboard([tmp_path]))
    assert table.rows[0].folders == ("a",)
    assert table.notes == ["Of runs with one config and seed the newest counts; 1 earlier left out."]


@pytest.mark.parametrize(
    ("unlike", "part"),
    [
        ({"numbers": {"protocol": "market1501, euclidean"}}, "protocol"),
        ({"data": {"fingerprint": "cd" * 32}}, "data"),
        ({"numbers": {"unreadable_images_left_out": 2}}, "data"),
        ({"changes": {"dataset__val_fraction": 0.1, "backbone__name": "b"}}, "trained on"),
        ({"numbers": {"dataset": "other"}}, "test set"),
    ],
)
def test_what_may_not_be_compared_has_a_table_of_its_own(unlike: dict, part: str, tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / name, AP, changes={"backbone__name": name})
    write(tmp_path / "c", AP, **unlike)
    board = leaderboard([tmp_path])
    assert [len(table.rows) for table in board.tables] == [2, 1]
    assert part in board.why
    assert board.tables[0].ground != board.tables[1].ground or board.tables[0].title != board.tables[1].title


def test_identities_held_out_by_the_seed_stay_one_row(tmp_path: Path) -> None:
    for seed in (0, 1):
        changes = {"dataset__val_fraction": 0.2, "seed": seed}
        write(tmp_path / f"{seed}", AP, changes=changes, data={"fingerprint": f"{seed}" * 64})
    (row,) = only(leaderboard([tmp_path])).rows
    assert row.seeds == (0, 1)


def test_each_target_has_a_table(tmp_path: Path) -> None:
    targets = [{"dataset": name, "mAP": m, "rank-1": m, "protocol": "p"} for name, m in (("toy", 0.5), ("other", 0.25))]
    for name in "ab":
        run = write(tmp_path / name, AP, changes={"backbone__name": name}, numbers={"targets": targets})
        shutil.copy(run / "per_query.csv", run / "per_query_other.csv")
    board = leaderboard([tmp_path])
    assert sorted((t.title, t.rows[0].mean("mAP")) for t in board.tables) == [("other", 0.25), ("toy", 0.5)]
    for table in board.tables:
        assert table.rows[1].versus is not None
        assert table.rows[1].versus.p == 1  # the same queries, no difference


def test_columns_that_only_come_with_an_option_are_left_out() -> None:
    adam = {"optimizer._target_": "torch.optim.Adam", "optimizer.lr": 1e-3, "optimizer.betas": [0.9, 0.99], "seed": 1}
    sgd = {"optimizer._target_": "torch.optim.SGD", "optimizer.lr": 1e-2, "optimizer.momentum": 0.9, "seed": 2}
    assert columns([adam, sgd]) == {"optimizer._target_": ["Adam", "SGD"], "optimizer.lr": ["0.001", "0.01"]}
    same_rate = {**sgd, "optimizer.lr": 1e-3}
    assert columns([adam, same_rate]) == {"optimizer._target_": ["Adam", "SGD"]}
    assert columns([adam, same_rate, {**adam, "optimizer.betas": [0.5, 0.5]}]) == {
        "optimizer._target_": ["Adam", "SGD", "Adam"],
        "optimizer.betas": ["[0.9,0.99]", "–", "[0.5,0.5]"],
    }


def test_settings_that_change_together_are_all_shown() -> None:
    a, b = {"optimizer.lr": 1, "head.margin": 0.3}, {"optimizer.lr": 2, "head.margin": 0.5}
    assert set(columns([a, b])) == {"optimizer.lr", "head.margin"}


def test_headings_are_short_and_tell_keys_apart() -> None:
    keys = ["terms.triplet.weight", "terms.ce.weight", "optimizer.lr", "backbone._target_", "backbone.name"]
    assert headings(keys, keys) == {
        "terms.triplet.weight": "triplet.weight",
        "terms.ce.weight": "ce.weight",
        "optimizer.lr": "lr",
        "backbone._target_": "backbone",
        "backbone.name": "backbone.name",
    }


def test_importance_is_the_share_of_variance_between_values() -> None:
    a, b = np.repeat([0, 1], 6), np.tile([0, 1, 2], 4)
    y = 2.0 * a + 0.5 * b + RNG.normal(size=12) * 0.1
    found = {one.name: one.share for one in importance({"a": [f"x{v}" for v in a], "b": [f"y{v}" for v in b]}, y)}
    for name, groups in (("a", a), ("b", b)):
        # F = (eta2 / (k - 1)) / ((1 - eta2) / (n - k))
        parts = [y[groups == g] for g in np.unique(groups)]
        f, k = stats.f_oneway(*parts).statistic, len(parts)
        assert found[name] == pytest.approx(f * (k - 1) / (f * (k - 1) + 12 - k))
    assert list(found) == ["a", "b"]
    assert importance({"all unlike": [str(i) for i in "abcdefghijkl"], "alike": ["1"] * 12}, y) == []
    (quarters,) = importance({"lr": [str(v) for v in range(12)]}, y)
    assert quarters.note == "in quarters"


def test_a_study_of_optuna_is_taken_over(tmp_path: Path) -> None:
    write(tmp_path / "sweep" / "000_trial0", AP)
    told = {"metric": "val_mAP", "trials": 20, "evaluator": "PED-ANOVA", "importance": {"a.x": 0.25, "b.y": 0.75}}
    (tmp_path / "sweep" / "importance.json").write_text(json.dumps(told))
    (study,) = leaderboard([tmp_path]).studies
    assert [(one.name, one.share) for one in study.shares] == [("b.y", 0.75), ("a.x", 0.25)]
    assert (study.folder, study.metric) == ("sweep", "val mAP")


def test_other_queries_are_not_paired(tmp_path: Path) -> None:
    write(tmp_path / "best", AP, changes={"backbone__name": "best"})
    write(tmp_path / "less", AP[:-1] / 2, changes={"backbone__name": "less"})
    (_, row) = only(leaderboard([tmp_path])).rows
    assert row.versus is not None
    assert row.versus.why == "its queries are not those of the best row"


def test_older_runs_name_the_same_queries_without_their_folders(tmp_path: Path) -> None:
    write(tmp_path / "old", AP, changes={"backbone__name": "old"})
    file = write(tmp_path / "new", AP / 2, changes={"backbone__name": "new"}) / "per_query.csv"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head, *(f"{row.split(',')[1]}/{row}" for row in rows)]) + "\n")
    (_, row) = only(leaderboard([tmp_path])).rows
    assert row.versus is not None
    assert row.versus.difference == pytest.approx(-AP.mean() / 2)


def test_curves_are_means_over_the_epochs_that_all_have(tmp_path: Path) -> None:
    for seed, epochs in ((0, 3), (1, 2)):
        board_runs.log(write(tmp_path / str(seed), AP, changes={"seed": seed}), epochs, val=True)
    (row,) = only(leaderboard([tmp_path])).rows
    x, y = row.curves["val_mAP"]
    assert x.tolist() == [1, 2]
    assert y == pytest.approx([0.1, 0.2])
    assert row.curves["loss"][1] == pytest.approx([3, 2])
