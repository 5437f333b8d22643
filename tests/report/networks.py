"""A network's anatomy by hand: two layers on a picture of 8 x 4 pixels."""

from typing import Any


def field(size: int, jump: int, start: float = 0.0, whole: bool = False) -> dict[str, Any]:
    return {"size": [size] * 2, "jump": [float(jump)] * 2, "start": [start] * 2, "whole": [whole] * 2, "global": whole}


def convolution(**changes: Any) -> dict[str, Any]:
    """3 -> 8 channels, kernel 3, stride 2, padding 1: 8 x 4 becomes 4 x 2."""
    window = {
        "kind": "standard", "flags": ["standard"], "kernel": [3, 3], "stride": [2, 2], "padding": [[1, 1], [1, 1]],
        "dilation": [1, 1], "same": False, "ceil": False, "output_padding": [0, 0], "in_channels": 3,
        "out_channels": 8, "groups": 1, "parameters": 216, "standard_parameters": 216,
    }  # fmt: skip
    return {
        "name": "stem", "type": "Conv2d", "kind": "standard", "inputs": [[3, 8, 4]], "output": [8, 4, 2],
        "parameters": 216, "macs": 1728, "activations": 64, "live_bytes": 640, "window": window, "expected": [4, 2],
        "differs": False, "field": field(3, 2), "why": "", **changes,
    }  # fmt: skip


def relu(**changes: Any) -> dict[str, Any]:
    return {
        "name": "relu", "type": "ReLU", "kind": "other", "inputs": [[8, 4, 2]], "output": [8, 4, 2], "parameters": 0,
        "macs": 0, "activations": 64, "live_bytes": 512, "window": None, "expected": None, "differs": False,
        "field": field(3, 2), "why": "", **changes,
    }  # fmt: skip


def share(kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "kind": kind, "layers": 1, "parameters": 0, "macs": 0, "activations": 64, "standard_parameters": 0,
        "of_parameters": 0.0, "of_macs": 0.0, "of_activations": 0.5, **changes,
    }  # fmt: skip


def network(**changes: Any) -> dict[str, Any]:
    """The centre unit is (2, 1), so its field covers rows 3..5 and columns 1..3; nine equal pixels are its effect."""
    effect = [[1 / 9 if 3 <= row <= 5 and 1 <= column <= 3 else 0.0 for column in range(4)] for row in range(8)]
    whole = {"of_parameters": 1.0, "of_macs": 1.0}
    return {
        "backbone": "tiny", "weights": "from scratch", "network": "Backbone", "size": [3, 8, 4], "device": "cpu",
        "seed": 0, "layers": [convolution(), relu()], "blocks": [],
        "shares": [share("standard", parameters=216, macs=1728, standard_parameters=216, **whole), share("other")],
        "parameters": 216, "unused_parameters": 0, "loose_parameters": 0, "macs": 1728, "counted_macs": 1728,
        "activations": 128, "inference_bytes": 3 * 2**20, "training_bytes": 5 * 2**20,
        "last_map": {
            "name": "relu", "type": "ReLU", "shape": [8, 4, 2], "calls": 1, "is_layer": True, "field": field(3, 2),
            "why": "",
        },
        "effective": {
            "map": effect, "unit": [2, 1], "pixels": 9, "box": 9, "of_field": 1.0, "of_image": 9 / 32,
        },
        "shifts": [
            {"pixels": 1, "embedding": 0.9531, "map": 0.8642, "moved": None},
            {"pixels": 8, "embedding": 0.9135, "map": 0.7753, "moved": 0.9864},
        ],
        "latency": [
            {"batch": 1, "milliseconds": 2.5, "images_per_second": 400.0},
            {"batch": 32, "milliseconds": 16.0, "images_per_second": 2000.0},
        ],
        "notes": [], **changes,
    }  # fmt: skip


def unmeasured(**changes: Any) -> dict[str, Any]:
    """What a network on the meta device, without a map, leaves."""
    none = {"last_map": None, "effective": None, "training_bytes": None, "shifts": [], "latency": [], "device": "meta"}
    lost = relu(field=None, why="positions were sorted")
    return network(**{**none, "layers": [convolution(), lost], "notes": ["nothing is measured"], **changes})
