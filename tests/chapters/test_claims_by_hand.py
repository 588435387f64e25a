"""Sentences of `convergent` and `awabs` in worlds made by hand, whose answers are known: direction, margin, bound."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from ltlib.chapters.awabs import claims as awabs_claims
from ltlib.chapters.awabs import judges as awabs_judges
from ltlib.chapters.convergent import claims as convergent_claims
from ltlib.chapters.convergent import judges as convergent_judges
from ltlib.chapters.convergent.tables import DATASETS, METHODS, NETWORKS
from ltlib.pages.standing import Judgement
from ltlib.sections.world import Key, Numbers, Value, Words, World

SENTENCES = {
    claim.name: claim for claim in (*convergent_claims.HYPOTHESES, *convergent_claims.FINDINGS, *awabs_claims.CLAIMS)
}


def ours(n: int = 3, **quantities: Mapping[Key, float]) -> World:
    """Our numbers: three runs that hardly spread, or fewer with a point of noise."""
    return World(
        {name: Numbers({k: Value(v, n, 1e-5) for k, v in own.items()}, 0.01) for name, own in quantities.items()},
        Words(),
        ours=True,
    )


def ask(name: str, world: World) -> Judgement:
    return SENTENCES[name].judge(world)


def grid(value: Any) -> dict[Key, float]:
    """A number for every set, network and method, from a function of the three."""
    return {
        (d, n, m): value(d, NETWORKS.index(n), METHODS.index(m)) for d in DATASETS for n in NETWORKS for m in METHODS
    }


# --- convergent: networks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accuracy", "answers"),
    [
        (lambda d, n, m: 0.5 + 0.06 * n, (True, False, False, True)),  # deeper is better, by six points
        (lambda d, n, m: 0.7 - 0.06 * n, (False, True, False, False)),
        (lambda d, n, m: 0.5 + 0.015 * n, (True, True, True, True)),  # by a point and a half
        (lambda d, n, m: 0.5 + 0.03 * (n == 1), (False, True, True, False)),
    ],
)
def test_depth(accuracy: Any, answers: tuple[bool, ...]) -> None:
    """Deeper is better; 18 at most five points behind; 34 at most two; 50 above both."""
    names = (
        "Deeper networks are more accurate",
        "ResNet-18 is adequate on CIFAR-10",
        "ResNet-34 is near the best",
        "ResNet-50 excels on complex sets",
    )
    assert tuple(ask(name, ours(accuracy=grid(accuracy))).answer for name in names) == answers


@pytest.mark.parametrize(("step", "answer"), [(0.05, True), (-0.05, False), (0.0, None)])
def test_overfitting_is_more_of_training_above_test(step: float, answer: bool | None) -> None:
    """ResNet-50 overfits more where its training accuracy lies further above its test accuracy, not nearer."""
    found = ask("ResNet-50 overfits more", ours(gap=grid(lambda d, n, m: 0.1 + step * n)))
    assert found.answer is answer
    turned = ask("SupCon + CE generalises well", ours(gap=grid(lambda d, n, m: 0.1 + step * (m < 2))))
    assert turned.answer is answer  # CE and focal have the larger distance
    assert ask("ResNet-50 overfits more", World({})).answer is None


def test_the_gap_is_training_minus_test_accuracy_at_the_selected_epoch() -> None:
    def run(name: str, train: float, test: float) -> Any:
        rows = {"epoch": [1, 2], "train_accuracy": [train, 0.0], "test_accuracy": [test, 0.0]}
        return SimpleNamespace(id=name, history=pd.DataFrame(rows), metrics={"selected": {"epoch": 1}})

    cells = pd.DataFrame(
        {"metric": "accuracy", "dataset": "cifar10", "model": ["resnet18", "resnet50"], "method": "ce",
         "run_ids": [("a", "b"), ("c",)]}
    )  # fmt: skip
    found = convergent_judges.gaps(cells, [run("a", 0.9, 0.7), run("b", 0.8, 0.7), run("c", 0.6, 0.8)])
    assert found["cifar10", "resnet18", "ce"] == pytest.approx(0.15)  # the mean of 0.2 and 0.1
    assert found["cifar10", "resnet50", "ce"] == pytest.approx(-0.2)
    assert found.margin == 0.01


# --- convergent: methods ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ce", "focal", "supcon", "expected"),
    [
        (0.60, 0.65, 0.70, {"SupCon + CE is best on CIFAR-10": True, "CE is weakest on CIFAR-10": True,
                            "Focal does not beat the others on CIFAR-10": True, "The loss matters": True,
                            "SupCon + CE is last on butterflies": False, "No method is best everywhere": False,
                            "SupCon + CE is better across scenarios": True, "SupCon + CE wins or comes close": True}),
        (0.60, 0.70, 0.65, {"SupCon + CE is best on CIFAR-10": False, "CE is weakest on CIFAR-10": True,
                            "Focal does not beat the others on CIFAR-10": False, "The loss matters": True,
                            "Focal is best on butterflies with 18 and 34": True, "Focal helps on CIFAR-100": True,
                            "SupCon + CE is better across scenarios": False, "SupCon + CE wins or comes close": False,
                            "CE is best on butterflies with ResNet-50": False}),
        (0.70, 0.65, 0.60, {"CE is weakest on CIFAR-10": False, "Focal does not beat the others on CIFAR-10": True,
                            "SupCon + CE is last on butterflies": True, "Focal helps on CIFAR-100": False,
                            "CE is best on butterflies with ResNet-50": True}),
        (0.700, 0.709, 0.705, {"The loss matters": False, "SupCon + CE wins or comes close": True}),
        (0.700, 0.711, 0.705, {"The loss matters": True}),
        (0.700, 0.719, 0.700, {"SupCon + CE wins or comes close": True}),  # 1.9 points
        (0.700, 0.721, 0.700, {"SupCon + CE wins or comes close": False}),
    ],
)  # fmt: skip
def test_methods(ce: float, focal: float, supcon: float, expected: dict[str, bool]) -> None:
    own = grid(lambda d, n, m: (ce, focal, supcon)[m])
    world = ours(accuracy=own, precision=own, recall=own, f1=own)
    assert {name: ask(name, world).answer for name in expected} == expected


@pytest.mark.parametrize(
    ("eighteen", "thirty_four", "fifty", "expected"),
    [
        (0.0, -0.03, 0.009, True),
        (0.0, -0.009, 0.0, False),  # not behind: within a point
        (0.0, -0.06, 0.0, False),  # not slightly: more than five points
        (0.02, -0.03, 0.0, False),  # not comparable
        (0.0, -0.03, -0.02, False),
        (0.0, 0.03, 0.0, False),
    ],
)
def test_comparable_and_slightly_behind(eighteen: float, thirty_four: float, fifty: float, expected: bool) -> None:
    lead = dict(zip(NETWORKS, (eighteen, thirty_four, fifty), strict=True))
    values = {("cifar100", n, m): 0.4 + (lead[n] if m == "supcon_ce" else 0.0) for n in NETWORKS for m in METHODS}
    assert ask("SupCon + CE against CE on CIFAR-100", ours(accuracy=values)).answer is expected


def test_silhouettes_and_leads_have_their_direction() -> None:
    spaces = {("all", "supcon"): 0.5, ("all", "ce"): 0.3, ("tail", "supcon"): 0.4, ("tail", "ce"): 0.3}
    assert ask("SupCon separates classes better", ours(silhouette=spaces)).answer is True
    turned = {**spaces, ("tail", "supcon"): 0.2}
    assert ask("SupCon separates classes better", ours(silhouette=turned)).answer is False
    lead = {(2.0, "ce"): 0.9, (2.0, "focal"): 0.9, (100.0, "ce"): 0.5, (100.0, "focal"): 0.6}
    world = World({"factor": Numbers({k: Value(v, 3, 1e-5) for k, v in lead.items()}, 0.01)}, ours=True)
    assert ask("Focal is better under severe imbalance", world).answer is True
    shrinks = {**lead, (2.0, "focal"): 0.95, (100.0, "focal"): 0.52}
    world = World({"factor": Numbers({k: Value(v, 3, 1e-5) for k, v in shrinks.items()}, 0.01)}, ours=True)
    assert ask("Focal is better under severe imbalance", world).answer is False


# --- awabs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "expected"), [(0.4593, True), (0.4693, True), (0.4695, False), (0.4493, True), (0.4491, False)]
)
def test_group_accuracies_of_section_4_8_are_met_to_a_point(head: float, expected: bool) -> None:
    said = {**awabs_judges.SECTION_4_8, "head": head}
    values = {("4.8", 100, group, awabs_judges.SECOND): value for group, value in said.items()}
    world = World({"accuracy": Numbers({k: Value(v) for k, v in values.items()})}, awabs_judges.READ_AS)
    assert ask("Method 2's group accuracies", world).answer is expected
    noisy = World({"accuracy": Numbers({k: Value(v) for k, v in values.items()}, 0.01)}, awabs_judges.READ_AS, True)
    assert ask("Method 2's group accuracies", noisy).answer is None or head == 0.4593
    far = {**values, ("4.8", 100, "head", awabs_judges.SECOND): 0.48}
    noisy = World({"accuracy": Numbers({k: Value(v) for k, v in far.items()}, 0.01)}, awabs_judges.READ_AS, True)
    assert ask("Method 2's group accuracies", noisy).answer is False  # 2.07 points away, of which one is noise


def table(accuracy: dict[str, float], ece: dict[str, float]) -> World:
    """The same numbers in every column of Tables 4.2, 4.6 and 4.7."""
    columns = [*awabs_judges.C10, *awabs_judges.C100, *awabs_judges.columns("4.2", 100, 50, 10)]
    return ours(
        accuracy={(*column, m): v for column in columns for m, v in accuracy.items()},
        ece={(*column, m): v for column in columns for m, v in ece.items()},
    )


METHOD_1, METHOD_2, METHOD_3 = awabs_claims.PROPOSED


def test_a_smaller_calibration_error_is_the_better_one() -> None:
    """Method 2 is best in both; then the same with its error the largest."""
    rows = {METHOD_2: 0.8, METHOD_1: 0.75, METHOD_3: 0.75, "mislas": 0.7, "lade": 0.7, "cbce": 0.6, "ce": 0.5}
    good = table(rows, {m: 1 - v for m, v in rows.items()})
    bad = table(rows, dict(rows))
    for name in (
        "Re-weighting is worse than AWABS", "Method 2 beats most earlier methods", "Method 2 is best at 100 and 10",
        "Method 2 is best on CIFAR-10", "Method 2 has the lowest ECE on CIFAR-100",
        "The proposed methods are better calibrated", "Method 2 beats LADE and MiSLAS",
        "Method 2 outperforms or matches",
    ):  # fmt: skip
        assert ask(name, good).answer is True, name
        assert ask(name, bad).answer is False, name
    for name, expected in (("CE is the least accurate", True), ("MiSLAS is the most accurate on CIFAR-10", False)):
        assert ask(name, good).answer is expected, name


def test_matching_is_a_point_of_accuracy_and_one_and_a_half_of_error() -> None:
    for accuracy, error, expected in (
        (0.709, 0.10, True),
        (0.711, 0.10, False),
        (0.70, 0.0855, True),
        (0.70, 0.0845, False),
    ):
        rows = {METHOD_2: 0.70, "mislas": accuracy}
        world = table(rows, {METHOD_2: 0.10, "mislas": error})
        assert ask("Method 2 outperforms or matches", world).answer is expected


def test_one_run_is_carried_as_one_run() -> None:
    """The answer may be the same; what it rests on is not."""
    own = grid(lambda d, n, m: 0.5 + 0.05 * m)
    few, many = (ask("SupCon + CE is best on CIFAR-10", ours(n, accuracy=own)) for n in (1, 3))
    assert (few.answer, few.runs, many.answer, many.runs) == (True, 1, True, 3)
    mixed = ours(3, accuracy=own)
    key = ("cifar10", "resnet18", "supcon_ce")
    mixed.numbers("accuracy").values[key] = Value(0.2, 1)
    assert ask("SupCon + CE is best on CIFAR-10", mixed)[::2] == (False, 1)
    mixed.numbers("accuracy").values["cifar10", "resnet34", "supcon_ce"] = Value(0.2, 3, 1e-5)
    assert ask("SupCon + CE is best on CIFAR-10", mixed)[::2] == (False, 3)
