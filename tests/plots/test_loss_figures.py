"""Figures of losses: what they compute, what they draw, what they say."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest
from matplotlib.patches import Rectangle

from ltlib import losses
from ltlib.errors import SettingError, UnknownName
from ltlib.plots import export, loss_curves
from ltlib.plots import losses as drawn

COUNTS = [5000, 500, 50]


@pytest.fixture(autouse=True)
def no_global_state() -> Iterator[None]:
    before = dict(matplotlib.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


@pytest.mark.parametrize("classes", [2, 10])
def test_curves_are_the_formulas(classes):
    counts = [1] * classes
    ce, focal = (loss_curves.curve(name, counts, target=1) for name in ("ce", "focal[gamma=2]"))
    for p, a, b, slope in zip(ce["probability"], ce["loss"], focal["loss"], ce["gradient"], strict=True):
        assert a == pytest.approx(-math.log(p), rel=1e-9)
        assert b == pytest.approx(-((1 - p) ** 2) * math.log(p), rel=1e-8)
        assert slope == pytest.approx(1 - p, rel=1e-9)
    assert focal["factor"] == pytest.approx([(1 - p) ** 2 for p in ce["probability"]], rel=1e-8)


def test_deferred_losses_are_drawn_after_their_switch():
    plain, late = (loss_curves.curve(name, (500, 50), 1)["loss"] for name in ("ce", "deferred"))
    weight = losses.class_weights((500, 50), "effective_number", beta=0.9999)[1].item()
    assert late == pytest.approx([weight * value for value in plain], rel=1e-6)
    assert weight > 1


def test_panels_hold_the_formulas_at_head_and_tail():
    figure = loss_curves.over_probability(
        ["ce", "balanced_softmax"], ["loss"], class_counts=(900, 90, 10), targets=(0, -1)
    ).frame()
    counts = np.array([900, 90, 10])
    for name, true, p, loss in figure.itertuples(index=False, name=None):
        share = counts[true] * p
        others = (counts.sum() - counts[true]) * (1 - p) / 2
        wanted = -math.log(p) if name == "ce" else -math.log(share / (share + others))
        assert loss == pytest.approx(wanted, rel=1e-6)


def test_a_figure_is_as_high_as_it_is_told_and_says_its_numbers():
    figure = loss_curves.over_probability(["ce", "focal[gamma=2]"], ["loss"], most={"loss": 5})
    assert figure.axes[0].get_ylim() == (0, 5)
    assert "Focal (gamma 2) 1.87 and 0.00105" in figure.alt  # (1 - p)^2 times -log p


def test_batch_losses_see_one_image_a_probability():
    plain = loss_curves.curve("ce", COUNTS)["loss"]
    for name in ("loss_equalised", "ohem", "equalization", "weighted_ce"):
        assert loss_curves.curve(name, COUNTS)["loss"] == pytest.approx(plain), name


def test_weights_are_the_losss():
    measured = drawn.weights("weighted_ce", COUNTS)
    assert measured == pytest.approx([3 / n / sum(1 / m for m in COUNTS) for n in COUNTS], rel=1e-9)
    assert drawn.weights("ce", COUNTS) == pytest.approx([1, 1, 1])
    prior = drawn.weights("prior_equalised", COUNTS)
    assert prior == pytest.approx([5550 / (3 * n) for n in COUNTS])
    assert drawn.weights("equalization", COUNTS) == pytest.approx([1, 1, 1])


def test_shares_add_up_and_loss_equalisation_evens_them():
    logits, targets = np.zeros((10, 3)), [0] * 7 + [1] * 2 + [2]
    assert drawn.shares("ce", logits, targets, COUNTS) == pytest.approx([0.7, 0.2, 0.1])
    assert drawn.shares("loss_equalised", logits, targets, COUNTS) == pytest.approx([1 / 3] * 3)
    assert drawn.shares("equalization", logits, targets, COUNTS) == pytest.approx([0.7, 0.2, 0.1])
    sure = np.where(np.eye(3)[targets] > 0, 1e4, 0)
    with pytest.raises(SettingError, match="nothing to share"):
        drawn.shares("ce", sure, targets, COUNTS)


@pytest.mark.parametrize(("quantity", "value"), [("loss", 2.3), ("gradient", 0.9), ("factor", 1)])
def test_over_probability_draws_a_line_for_each_loss(quantity, value):
    names = ["ce", "focal[gamma=2]", "cefl[gamma=2]", "cefl2[gamma=2]"]
    fig = loss_curves.over_probability(names, [quantity], most={quantity: 5}, title="Losses")
    (axes,) = fig.axes
    assert len(axes.lines) == 4
    assert axes.get_ylim() == (0, 5)
    for name, line in zip(names, axes.lines, strict=True):
        assert list(line.get_ydata()) == loss_curves.curve(name, points=99)[quantity]
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 4
    assert f"CE {value:g}" in fig.alt
    assert len(fig.frame()) == 4 * 99
    assert "<svg" in export.svg(fig)


def test_over_classes_says_the_ends_and_keeps_every_number():
    values = {"ce": [0.3, 0.0, -0.3], "vs": [0.1, 0.1, 0.1]}
    figure = loss_curves.over_classes(values, COUNTS, what="Push", ylabel="Push")
    assert "Push of the largest and of the smallest class: CE 0.3 and -0.3; VS 0.1 and 0.1." in figure.alt
    assert figure.frame()["value"].tolist() == [*values["ce"], *values["vs"]]


def test_term_weights_are_those_of_the_document():
    fig = loss_curves.term_weights()
    frame = fig.frame()
    assert (frame["cross_entropy"] + frame["focal"]).tolist() == pytest.approx([1] * len(frame))
    row = frame[(frame["loss name"] == "cefl2") & np.isclose(frame["probability"], 0.25)].iloc[0]
    assert row["cross_entropy"] == pytest.approx(0.9)
    assert "0.75 in CEFL and 0.9 in CEFL2" in fig.alt
    assert "<svg" in export.svg(fig)


def test_weight_over_counts_sorts_by_count_and_says_the_ends():
    fig = drawn.weight_over_counts(["weighted_ce", "class_balanced[beta=0.99]"], [50, 5000, 500], title="Weights")
    (axes,) = fig.axes
    assert list(axes.lines[0].get_xdata()) == [50, 500, 5000]
    assert (np.diff(axes.lines[0].get_ydata()) < 0).all()
    assert "0.027 to 2.7" in fig.alt
    assert len(fig.frame()) == 6
    given = drawn.weight_over_counts({"mine": [1.0, 2.0, 4.0]}, COUNTS)
    assert given.frame()["weight"].tolist() == [1, 2, 4]
    for wrong in ([1.0, 2.0], [1.0, 0.0, 2.0]):
        with pytest.raises(SettingError, match="mine"):
            drawn.weight_over_counts({"mine": wrong}, COUNTS)
    assert "<svg" in export.svg(fig)


def test_batch_shares_are_stacked_to_a_hundred():
    fig = drawn.batch_shares({"ce": [0.6, 0.3, 0.1], "loss_equalised": [1 / 3] * 3}, class_counts=[7, 2, 1])
    (axes,) = fig.axes
    bars = [p for p in axes.patches if isinstance(p, Rectangle)]
    assert len(bars) == 9
    for place in range(3):
        row = sorted((b for b in bars if abs(b.get_y() + b.get_height() / 2 - place) < 0.1), key=lambda b: b.get_x())
        assert row[0].get_x() == 0
        assert sum(b.get_width() for b in row) == pytest.approx(100)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["Images", "CE", "Loss equalisation"]
    assert "CE 60.0% (class 0)" in fig.alt
    assert fig.frame()["share"].tolist()[:3] == pytest.approx([0.7, 0.2, 0.1])
    assert "<svg" in export.svg(fig)
    assert not list(drawn.batch_shares({"ce": [0.01] * 100}).axes[0].texts)  # no room for a hundred class numbers


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: loss_curves.over_probability([]), SettingError, "at least one"),
        (lambda: loss_curves.over_probability(["ce"], ["slope"]), SettingError, "slope"),
        (lambda: loss_curves.over_probability(["cee"]), UnknownName, "ce"),
        (lambda: loss_curves.curve("supcon"), SettingError, "features"),
        (lambda: loss_curves.curve("ce", [5]), SettingError, "two classes"),
        (lambda: loss_curves.curve("ce", [5, 3], target=2), SettingError, "class 2"),
        (lambda: drawn.weight_over_counts([], COUNTS), SettingError, "at least one"),
        (lambda: drawn.batch_shares({}), SettingError, "at least one"),
        (lambda: drawn.batch_shares({"a": [0.5, 0.5], "b": [1.0]}), SettingError, "one share per class"),
        (lambda: drawn.batch_shares({"a": [0.5, 0.4]}), SettingError, "sum to 1"),
    ],
)
def test_wrong_input_is_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
