"""The pages of `loss_balance`: shares of a batch, cost, spread, batch sizes, claims."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from ltlib import published
from ltlib.chapters.loss_balance import LOSS_BALANCE, subsets
from ltlib.chapters.loss_balance import claims as loss_balance_claims
from ltlib.experiment import Experiment
from ltlib.sections import claims, seeds
from ltlib.sections import tables as document_tables

COUNTS = [7, 335, 14, 100, 700, 698, 139, 28]


def fake(method: str, accuracy: float, seed: int = 0, train: float = 0.9, seconds: float = 10, size: int = 32) -> Any:
    recipe = "loss_balance" if size == 32 else f"loss_balance[batch_size={size}]"
    exp = Experiment("digits_caltech_part", 1, "resnet8", method, recipe, seed=seed)
    per_class = {"f1": [0.1 * c for c in range(8)]}
    return SimpleNamespace(
        id=f"{method}-{size}-{seed}",
        experiment=exp,
        metrics={"last": {"accuracy": accuracy, "per_class": per_class, "groups": {}}},
        class_counts=COUNTS,
        history=pd.DataFrame({"stage": [1, 1], "train_accuracy": [0.5, train]}),
        seconds=seconds,
        provenance={"device": "one"},
    )


def test_shares_of_a_batch() -> None:
    """Images and CE are the same; LE gives each class that is there as much; PE as much over many batches."""
    frame = subsets.shares([30, 10], batch_size=8, batches=400)
    assert frame.sum().tolist() == pytest.approx([1] * 5)
    assert frame["ce"].tolist() == pytest.approx(frame["images"].tolist())
    assert frame["images"][1] == pytest.approx(0.25, abs=0.02)
    assert frame["oversampling"][1] == pytest.approx(0.5, abs=0.03)
    chance = 1.0  # that eight of forty images hold none of ten
    for i in range(8):
        chance *= (30 - i) / (40 - i)
    assert frame["loss_equalised"][1] == pytest.approx(0.5 * (1 - chance), abs=0.02)
    assert frame["prior_equalised"][1] == pytest.approx(0.5, abs=0.02)
    text = subsets.share_sentence(frame, [30, 10], 8)
    assert f"lacks the rarest class (10 of 40 images) {chance:.0%} of the time" in text
    assert "an equal share would be 50.0%" in text


def test_cost_counts_what_over_sampling_adds() -> None:
    runs = [fake("oversampling", 0.6, train=1.0, seconds=28), fake("loss_equalised", 0.6, train=0.8)]
    frame = seeds.fit(LOSS_BALANCE, runs)
    rows = {row["method"]: row for row in frame.to_dict("records")}
    assert rows["OS"]["images an epoch"] == 8 * 700
    assert rows["LE"]["images an epoch"] == sum(COUNTS) == 2021
    assert (rows["OS"]["gap (points)"], rows["LE"]["gap (points)"]) == (40.0, 20.0)
    text = subsets.cost_sentence(frame)
    assert "2.77 times as many" in text
    assert "The fastest run takes 2.80 times as long (one, beside other work: read it roughly)." in text
    assert subsets.cost_sentence(frame[frame["method"] == "LE"]).startswith("LE and OS are both needed")


def test_spread_and_batch_sizes() -> None:
    runs = [fake("loss_equalised", 0.6, 0), fake("loss_equalised", 0.8, 1), fake("ce", 0.5)]
    rows = {row["method"]: row for row in seeds.spread(LOSS_BALANCE, runs).to_dict("records")}
    assert (rows["LE"]["accuracy (%)"], rows["LE"]["standard deviation"]) == (70.0, 14.14)
    assert rows["CE"]["standard deviation"] != rows["CE"]["standard deviation"]
    sizes = [fake(m, a, size=s) for m, a, s in (("loss_equalised", 0.5, 8), ("prior_equalised", 0.6, 8))]
    frame = subsets.by_batch(sizes)
    assert frame["batch size"].tolist() == ["8", "8"]
    assert frame["F1 of the rarest class (%)"].tolist() == [0.0, 0.0]
    assert subsets.batch_sentence(sizes) == "LE minus PE in points of accuracy, by batch size, 8: -10.0 (few runs)."
    assert subsets.batch_sentence(sizes[:1]) == "LE and PE are both needed at one batch size."
    assert subsets.batch_sentence([]).startswith("No run")
    said = []
    for size, le, pe in ((32, (0.5, 0.6, 0.7), (0.5, 0.6, 0.7)), (128, (0.70, 0.72, 0.74), (0.60, 0.61, 0.62))):
        for seed in range(3):
            sizes.append(fake("loss_equalised", le[seed], seed, size=size))
            sizes.append(fake("prior_equalised", pe[seed], seed, size=size))
        found = stats.ttest_ind(le, pe, equal_var=False).confidence_interval()
        difference = 100 * (sum(le) - sum(pe)) / 3
        said.append(f"{size}: {difference:+.1f} (95%: {100 * found.low:.1f} to {100 * found.high:.1f})")
    assert subsets.batch_sentence(sizes).partition("8: -10.0 (few runs), ")[2] == f"{', '.join(said)}."


ANSWERS = {
    "caltech_part": [True, True, None, None, None],
    "ilsvrc_part1": [True, False, None, None, None],  # S2: 98.33, 99.32, 99.00 against 98.99, 99.32, 99.66
    "ilsvrc_part2": [True, True, None, None, None],
}


@pytest.mark.parametrize("subset", ANSWERS)
def test_the_printed_numbers_answer_as_read_by_hand(subset: str) -> None:
    frame = document_tables.results([], "loss_balance", ["2"], "paper")
    own = loss_balance_claims.of(subset)
    judged = claims.judge(own, loss_balance_claims.printed(frame), loss_balance_claims.ours(frame, "paper", []))
    assert [item.printed.answer for item in judged] == ANSWERS[subset]
    assert judged[-1].ours.answer is None, "weights by counts do not, weights by losses do"
    assert "weighed by losses 33.3%, 33.3%, 0.0%, 33.3%" in judged[-1].ours.evidence
    assert [item.claim.name for item in judged] == published.claims("loss_balance")["name"].tolist()


def test_cost_and_overfitting_are_judged_by_our_runs() -> None:
    frame = document_tables.results([], "loss_balance", ["2"], "laptop")
    runs = [fake("oversampling", 0.6 + 0.001 * s, s, 1.0, 28 + s) for s in range(3)]
    runs += [fake("loss_equalised", 0.6 + 0.001 * s, s, 0.8, 10) for s in range(3)]
    found = loss_balance_claims.ours(frame, "laptop", runs)
    _, _, cost, fit, _ = [one.judge(found) for one in loss_balance_claims.of("caltech_part")]
    assert (cost.answer, fit.answer, fit.runs) == (True, True, 3)
    assert "OS 11,200, LE 4,042" in cost.evidence
    slower = loss_balance_claims.ours(
        frame, "laptop", [fake("oversampling", 0.6), fake("loss_equalised", 0.6, seconds=20)]
    )
    assert loss_balance_claims.of("caltech_part")[2].judge(slower).answer is False, "fewer images, but more time"
