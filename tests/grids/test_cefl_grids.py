"""What stands for the cells of `cefl`."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ltlib import grids, published
from ltlib.datasets import longtail
from ltlib.experiment import Experiment
from ltlib.grids import cefl
from ltlib.profiles import Impossible


def cells(table: str, **row: object) -> list[grids.Cell]:
    return [one for one in grids.cells("cefl", table) if all(one.row[key] == value for key, value in row.items())]


@pytest.mark.parametrize("table", ["2", "3", "4", "5"])
def test_every_printed_cell_has_its_experiments(table: str, no_data: Path) -> None:
    printed = published.table("cefl", table)
    found = grids.cells("cefl", table)
    means = int(printed["imbalance"].isna().sum()) if table in "23" else 0
    assert len(found) == len(printed) + 5 * means, "a printed mean rests on six trainings"
    assert means == (15 if table in "23" else 0)
    for one in found:
        assert one.experiment.method == one.row["method"]
        assert one.experiment.dataset == one.row["dataset"]
        assert len(one.experiment.run_id) == 12


def test_class_0_is_the_smallest_and_the_worked_example_comes_out(no_data: Path) -> None:
    """Section IV.A.1 prints the ten counts."""
    (cell,) = cells("2", method="ce", imbalance=10.0)
    exp = cell.experiment
    own = longtail.subset_counts([5000] * 10, exp.imbalance_factor, exp.imbalance_type, exp.order)
    assert own == [500, 645, 834, 1077, 1391, 1796, 2320, 2997, 3871, 5000]


def test_the_printed_mean_leaves_out_the_balanced_set(no_data: Path) -> None:
    own = [one for one in cells("2", method="ce") if math.isnan(one.row["imbalance"])]
    assert [one.experiment.imbalance_factor for one in own] == [10, 20, 50, 100, 200, 500]


def test_the_recipes_of_section_iv_b(no_data: Path) -> None:
    cifar = cells("2", method="ce", imbalance=100.0)[0].experiment.resolve().recipe
    rates = [cifar.learning_rate(epoch, 100) for epoch in (1, 60, 61, 80, 81, 100)]
    assert rates == pytest.approx([0.05, 0.05, 0.005, 0.005, 0.0005, 0.0005])
    assert (cifar.batch_size, cifar.weight_decay, cifar.momentum, cifar.augmentation) == (
        *(128, 1e-4, 0.9),
        ("crop4", "flip"),
    )
    crops = cells("4", dataset="crop_disease", method="ce")[0].experiment.resolve().recipe
    rates = [crops.learning_rate(epoch, 60) for epoch in (30, 31, 50, 51)]
    assert rates == pytest.approx([0.01, 0.001, 0.001, 0.0001])
    mushrooms = cells("5", method="ce")[0].experiment.resolve().recipe
    assert (mushrooms.epochs, mushrooms.batch_size, crops.epochs) == (100, 64, 60)
    assert [mushrooms.learning_rate(e, 100) for e in (60, 61, 81)] == pytest.approx([0.01, 0.001, 0.0001])


def test_photographs_begin_from_named_weights(no_data: Path) -> None:
    networks = {one.experiment.model for one in grids.cells("cefl", "4")}
    depths = ("18", "34", "50", "101")
    assert networks == {f"resnet{depth}[stem=imagenet;weights=imagenet1k_v1]" for depth in depths}
    assert {one.experiment.model[:9] for one in grids.cells("cefl", "5")} == {"resnet101"}


@pytest.mark.parametrize(("profile", "factors"), [("quick", {20.0}), ("laptop", {10.0, 100.0, 500.0})])
def test_a_small_profile_trains_every_loss_of_table_2(profile: str, factors: set[float], no_data: Path) -> None:
    found, left = grids.experiments("cefl/2", profile)
    assert {exp.imbalance_factor for exp in found} == factors
    assert len(found) == 15 * len(factors)
    assert {exp.order for exp in found} == {"ascending"}
    assert all(isinstance(why, Impossible) for why in left.values())


def test_one_network_stands_for_the_deepest_of_table_5(no_data: Path) -> None:
    """Elsewhere the one network fills ResNet-18's column; Table 5 has no such column."""
    found, left = grids.experiments("cefl/5", "quick")
    assert {exp.method for exp in found} == set(cefl.FOUR)
    assert not left
    runs = {exp.run_id for exp in found}
    assert runs < {exp.run_id for exp in grids.experiments("cefl/4", "quick")[0]}, "the same runs as ResNet-18's"
    assert {exp.run_id for exp in grids.experiments("cefl/curves", "quick")[0]} < runs


def test_the_central_comparison_has_three_seeds_where_it_counts(no_data: Path) -> None:
    for profile, seeds, factors in (("quick", 1, 2), ("laptop", 3, 3), ("paper", 3, 3)):
        found, _ = grids.experiments("cefl/central", profile)
        assert len(found) == seeds * factors * len(cefl.CENTRAL)
        assert {exp.seed for exp in found} == set(range(seeds))
    first = grids.experiments("cefl/2", "laptop")[0]
    central = {exp.run_id for exp in grids.experiments("cefl/central", "laptop")[0] if exp.method != "class_balanced"}
    shared = central & {exp.run_id for exp in first}
    assert len(shared) == 4 * 3, "four losses at three ratios, seed 0"


def test_a_mean_is_one_of_what_all_its_trainings_share() -> None:
    exp = Experiment(dataset="cifar10", imbalance_factor=10, order="ascending", model="resnet18", recipe="cefl")
    assert exp.run_id in {one.experiment.run_id for one in cells("2", method="ce")}
