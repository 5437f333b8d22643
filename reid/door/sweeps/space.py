"""What Optuna draws from: for each key a list of values, or {low, high} with log or step."""

import json
from collections.abc import Mapping
from typing import Any

from reid.door import check
from reid.door.sweeps import plan
from reid.errors import UserError


def check_space(space: Mapping[str, Any]) -> None:
    """UserError for a range that nothing can be drawn from."""
    if not space:
        raise UserError("hydra.sweeper.space is empty: name what is drawn, as optimizer.lr: {low: 1e-4, high: 1e-2}")
    for key, kind in space.items():
        name = f"hydra.sweeper.space, {key}"
        if isinstance(kind, list):
            if len(kind) < 2:
                raise UserError(f"{name}: {kind} leaves no choice: list two values or more")
            continue
        if not isinstance(kind, Mapping) or not {"low", "high"} <= set(kind) <= {"low", "high", "log", "step"}:
            raise UserError(f"{name}: {kind} must be {{low: , high: }} with log: true or step: where wanted, or a list")
        low, high = kind["low"], kind["high"]
        check.value(f"{name}.low", low, float)
        check.value(f"{name}.high", high, float)
        check.value(f"{name}.log", kind.get("log", False), bool)
        if not low < high:
            raise UserError(f"{name}: low={low} must be below high={high}")
        if kind.get("log") and (low <= 0 or "step" in kind):
            raise UserError(f"{name}: with log: true low={low} must be above 0, and there is no step")


def draw(trial: Any, key: str, kind: Any) -> None:
    """Have an Optuna trial draw the value of ``key``."""
    if isinstance(kind, list):
        trial.suggest_categorical(key, kind)
        return
    whole = isinstance(kind["low"], int) and isinstance(kind["high"], int)
    options = {"log": bool(kind.get("log"))} | ({"step": kind["step"]} if "step" in kind else {})
    (trial.suggest_int if whole else trial.suggest_float)(key, kind["low"], kind["high"], **options)


def some_value(kind: Any) -> Any:
    """One that could be drawn."""
    return kind[0] if isinstance(kind, list) else kind["low"]


def spelled(value: Any) -> str:
    """A drawn value as an override says it."""
    if isinstance(value, str):
        return plan.quoted(value)
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value)
