"""Losses of the supervised tokens: their values, and how much each token counts."""

from __future__ import annotations

import pytest
import torch

from synthpert.errors import InputError
from synthpert.losses import (
    UNLABELLED,
    AnswerWeighted,
    ClassBalanced,
    CrossEntropy,
    LabelSmoothing,
    Supervised,
    TokenLoss,
)
from synthpert.questions import LABELS

TARGETS = torch.tensor([0, 3, 1, 2, 4])
LABEL = torch.tensor([0, 1, 2, UNLABELLED, 0])
KNOWN = Supervised(TARGETS, TARGETS > 1, LABEL)


def logits(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(0)).to(dtype)


def told(loss: TokenLoss, *counts: int) -> TokenLoss:
    loss.see_labels(counts)
    return loss


def weights(loss: TokenLoss) -> list[float]:
    return loss.weight(KNOWN).tolist()


def test_cross_entropy_is_minus_the_log_probability() -> None:
    expected = -logits().log_softmax(1)[torch.arange(5), TARGETS]
    torch.testing.assert_close(CrossEntropy()(logits(), KNOWN), expected)


def test_smoothing_mixes_in_the_mean_over_the_vocabulary() -> None:
    log = logits().log_softmax(1)
    expected = -0.9 * log[torch.arange(5), TARGETS] - 0.1 * log.mean(1)
    torch.testing.assert_close(LabelSmoothing(0.1)(logits(), KNOWN), expected)


def test_no_smoothing_is_cross_entropy() -> None:
    found = LabelSmoothing(0.0)(logits(), KNOWN)
    assert torch.equal(found, CrossEntropy()(logits(), KNOWN))


@pytest.mark.parametrize("loss", [CrossEntropy(), LabelSmoothing()])
def test_losses_are_computed_in_float32(loss: TokenLoss) -> None:
    half = logits(torch.bfloat16)
    found = loss(half, KNOWN)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(half.float(), KNOWN))


def test_tokens_count_the_same_where_a_loss_says_nothing_else() -> None:
    assert weights(CrossEntropy()) == weights(LabelSmoothing()) == [1.0] * 5


def test_answer_counts_as_often_as_it_is_told() -> None:
    assert weights(AnswerWeighted(5.0)) == [1.0, 5.0, 1.0, 5.0, 5.0]


def test_answer_may_count_less_than_the_thought() -> None:
    assert weights(AnswerWeighted(0.5)) == [2.0, 1.0, 2.0, 1.0, 1.0]


def test_rare_label_counts_more_and_an_unlabelled_example_as_the_average() -> None:
    found = weights(told(ClassBalanced(), 600, 100, 300))
    assert found == pytest.approx([1.0, 6.0, 2.0, (600 + 600 + 600) / 1000, 1.0])


def test_power_goes_half_way() -> None:
    found = weights(told(ClassBalanced(power=0.5), 400, 100, 100))
    assert found[:3] == pytest.approx([1.0, 2.0, 2.0])


def test_label_of_no_training_example_counts_as_the_rarest() -> None:
    assert weights(told(ClassBalanced(), 400, 100, 0))[:3] == pytest.approx([1.0, 4.0, 4.0])


def test_weights_may_be_given() -> None:
    given = dict(zip(map(str, LABELS), (2.0, 4.0, 6.0), strict=True))
    assert weights(ClassBalanced(given))[:3] == [1.0, 2.0, 3.0]


def test_weighted_losses_nest() -> None:
    both = told(AnswerWeighted(5.0, of=ClassBalanced(of=LabelSmoothing())), 600, 100, 300)
    assert weights(both) == pytest.approx([1.0, 30.0, 2.0, 9.0, 5.0])
    assert torch.equal(both(logits(), KNOWN), LabelSmoothing()(logits(), KNOWN))


@pytest.mark.parametrize("times", [0.0, -1.0, float("inf"), float("nan")])
def test_answer_that_counts_nothing_is_refused(times: float) -> None:
    with pytest.raises(InputError, match=r"model\.loss\.init_args\.times: no such times"):
        AnswerWeighted(times)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_smoothing_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(InputError, match=r"init_args\.share: no such share of LabelSmoothing"):
        LabelSmoothing(share)


def test_power_that_would_turn_the_balance_round_is_refused() -> None:
    with pytest.raises(InputError, match=r"init_args\.power: no such power"):
        ClassBalanced(power=-1.0)


@pytest.mark.parametrize("given", [{"upregulated": 1.0}, dict.fromkeys(map(str, LABELS), 0.0)])
def test_weights_that_make_no_sense_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"init_args\.weights: no such weights of ClassBalanced"):
        ClassBalanced(given)


def test_balance_without_counts_is_refused() -> None:
    with pytest.raises(InputError, match="needs to know how rare each label is"):
        ClassBalanced().weight(KNOWN)


def test_slice_of_what_is_known_keeps_its_parts_together() -> None:
    part = KNOWN[1:3]
    assert part.targets.tolist() == [3, 1]
    assert part.in_answer.tolist() == [True, False]
    assert part.label.tolist() == [1, 2]


def test_loss_without_a_forward_names_its_class() -> None:
    class Mine(TokenLoss):
        pass

    with pytest.raises(TypeError, match="Mine defines no forward"):
        Mine()(logits(), KNOWN)
