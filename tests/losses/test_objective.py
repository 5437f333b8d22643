import pytest
import torch
from torch import Tensor, nn

from reid.errors import UserError
from reid.losses.cross_entropy import CrossEntropy
from reid.losses.objective import Objective
from reid.losses.triplet import BatchHardTriplet


class MeanOf(nn.Module):
    """The mean of its input, and a note of what it was given."""

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        self.seen = x
        return x.mean()


def term(name: str, weight: float, loss: nn.Module | None = None) -> dict:
    return {"loss": loss or MeanOf(), "input": name, "weight": weight}


def test_weighted_sum_and_unweighted_terms() -> None:
    objective = Objective({"a": term("feature", 0.5), "b": term("logits", 3), "c": term("feature", 0)})
    feature, logits = torch.full((2, 4), 8.0), torch.full((2, 3), 2.0)
    total, terms = objective(feature, logits, torch.tensor([0, 1]))
    assert float(total) == 0.5 * 8 + 3 * 2
    assert {name: float(value) for name, value in terms.items()} == {"a": 8, "b": 2, "c": 8}


def test_gradient_of_each_input_is_scaled_by_the_weights_that_use_it() -> None:
    feature, logits = torch.ones(2, 4, requires_grad=True), torch.ones(2, 5, requires_grad=True)
    Objective({"a": term("feature", 0.5), "b": term("logits", 3)})(feature, logits, torch.tensor([0, 1]))[0].backward()
    torch.testing.assert_close(feature.grad, torch.full((2, 4), 0.5 / 8))
    torch.testing.assert_close(logits.grad, torch.full((2, 5), 3 / 10))


def test_losses_see_float32_under_bf16_autocast() -> None:
    probe = MeanOf()
    objective = Objective(
        {
            "probe": term("logits", 1, probe),
            "triplet": term("feature", 1, BatchHardTriplet()),
            "id": term("logits", 1, CrossEntropy()),
        }
    )
    feature = torch.randn(4, 8).to(torch.bfloat16)
    logits = torch.randn(4, 3).to(torch.bfloat16)
    labels = torch.tensor([0, 0, 1, 1])
    with torch.autocast("cpu", torch.bfloat16):
        total, terms = objective(feature, logits, labels)
    assert probe.seen.dtype == total.dtype == torch.float32
    assert {t.dtype for t in terms.values()} == {torch.float32}
    expected = (
        logits.float().mean() + BatchHardTriplet()(feature.float(), labels) + CrossEntropy()(logits.float(), labels)
    )
    torch.testing.assert_close(total, expected)


def test_parameters_of_a_loss_are_parameters_of_the_objective() -> None:
    class Scaled(MeanOf):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

    assert [n for n, _ in Objective({"own": term("feature", 1, Scaled())}).named_parameters()] == ["losses.own.scale"]


def test_no_term_is_refused() -> None:
    with pytest.raises(UserError, match="objective.terms is empty"):
        Objective({})


def test_unknown_input_is_refused_by_its_key() -> None:
    with pytest.raises(UserError, match=r"objective\.terms\.t\.input=embedding is unknown: choose feature or logits"):
        Objective({"t": term("embedding", 1)})
