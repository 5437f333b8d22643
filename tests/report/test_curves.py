import numpy as np
import pytest

from reid.report.curves import log_series

NAN = float("nan")


def names(log: list[dict[str, object]]) -> dict[str, list[str]]:
    return {kind: [line.name for line in lines] for kind, lines in log_series(log).items()}


def test_columns_go_to_their_chart() -> None:
    row: dict[str, object] = {
        "epoch": 1,
        "step": 100,
        "loss": 2.5,
        "cross_entropy": 2.0,
        "triplet": 0.5,
        "class_center": 0.1,
        "lr": 3e-4,
        "lr_backbone": 3e-5,
        "images_per_s": 900.0,
        "data_wait_s": 0.5,
        "grad_norm": 4.0,
        "val_mAP": 0.5,
        "val_rank-1": 0.7,
        "val_loss": 3.0,
        "val_queries": 120.0,
        "accuracy": 0.9,
        "note": "warm-up",
    }
    assert names([row]) == {
        "loss": ["loss", "cross_entropy", "triplet", "class_center", "val_loss"],
        "validation": ["val_mAP", "val_rank-1", "accuracy"],
        "lr": ["lr", "lr_backbone"],
        "speed": ["images_per_s"],
    }


def test_text_from_a_csv_file_is_read() -> None:
    (line,) = log_series([{"epoch": "1", "loss": "2.5"}, {"epoch": "2", "loss": "1.25"}])["loss"]
    np.testing.assert_array_equal(line.x, [1, 2])
    np.testing.assert_array_equal(line.y, [2.5, 1.25])


@pytest.mark.parametrize("absent", [{}, {"val_mAP": ""}, {"val_mAP": None}])
def test_validation_every_other_epoch_is_one_line(absent: dict[str, object]) -> None:
    log: list[dict[str, object]] = [
        {"epoch": 1, **absent},
        {"epoch": 2, "val_mAP": 0.4},
        {"epoch": 3, **absent},
        {"epoch": 4, "val_mAP": 0.6},
    ]
    (line,) = log_series(log)["validation"]
    np.testing.assert_array_equal(line.x, [2, 4])
    np.testing.assert_array_equal(line.y, [0.4, 0.6])


def test_a_recorded_nan_stays_a_gap() -> None:
    (line,) = log_series([{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": NAN}, {"epoch": 3, "loss": 2.0}])["loss"]
    np.testing.assert_array_equal(line.y, [1.0, NAN, 2.0])


def test_columns_without_a_number_are_dropped() -> None:
    log = [{"epoch": 1, "loss": NAN, "val_mAP": "", "triplet": "off"}]
    assert names(log) == {"loss": [], "validation": [], "lr": [], "speed": []}
    assert names([]) == {"loss": [], "validation": [], "lr": [], "speed": []}


def test_rows_are_counted_where_no_epoch_is_given() -> None:
    (line,) = log_series([{"loss": 3.0}, {"loss": 2.0}])["loss"]
    np.testing.assert_array_equal(line.x, [1, 2])
