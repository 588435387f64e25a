"""What stands for the cells of `awabs`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltlib import grids, published
from ltlib.experiment import Experiment
from ltlib.grids import awabs
from ltlib.profiles import Impossible
from ltlib.registry import parse

TABLES = [f"4.{i}" for i in range(1, 9)]


def cell(table: str, **row: str | int) -> Experiment:
    rows = grids.cells("awabs", table)
    found = {one.experiment for one in rows if all(one.row[key] == value for key, value in row.items())}
    assert len(found) == 1
    return found.pop()


@pytest.mark.parametrize("table", TABLES)
def test_every_printed_cell_has_its_experiment(table: str, no_data: Path) -> None:
    printed = published.table("awabs", table)
    found = grids.cells("awabs", table)
    assert len(found) == len(printed) > 0
    for one in found:
        exp = one.experiment
        assert (exp.dataset, exp.model) == (one.row["dataset"], "resnet32")
        assert exp.imbalance_factor == float(one.row["imbalance"])
        assert len(exp.run_id) == 12
        recipe = exp.resolve().recipe
        assert (recipe.epochs, recipe.milestones, recipe.decay, recipe.momentum) == (200, (0.8, 0.9), 0.1, 0.9)


def test_learning_rates_fall_by_ten_after_epochs_160_and_180(no_data: Path) -> None:
    recipe = cell("4.6", method="ce", imbalance=100).resolve().recipe
    rates = [recipe.learning_rate(epoch, 200) for epoch in (160, 161, 180, 181)]
    assert rates == pytest.approx([0.1, 0.01, 0.01, 0.001])


def test_silent_settings_are_those_of_mislas(no_data: Path) -> None:
    first = parse(cell("4.6", method="mislas", imbalance=100).method)[1]
    assert first == {"epsilon_head": 0.3, "epsilon_tail": 0.0, "lr": 0.5, "shift": False}
    second = parse(cell("4.7", method="mislas", imbalance=50).method)[1]
    assert second == {"epsilon_head": 0.3, "epsilon_tail": 0.0, "lr": 0.1, "shift": True}
    beyond = parse(cell("4.7", method="awabs_cutmix", imbalance=200).method)[1]
    assert beyond == {"epsilon_head": 0.4, "epsilon_tail": 0.1, "lr": 0.2}, "200 takes those of 100"


def test_rows_that_are_one_training_share_it(no_data: Path) -> None:
    las, mislas = cell("4.2", method="las", imbalance=100), cell("4.7", method="mislas", imbalance=100)
    assert las.run_id == mislas.run_id == cell("4.1", method="mislas").run_id
    assert cell("4.1", method="ce", imbalance=100).run_id == cell("4.7", method="ce", imbalance=100).run_id
    assert cell("4.1", method="ce", imbalance=1).imbalance_factor == 1
    # re-weighting differs from smoothing in stage 2 alone
    reweighted = cell("4.2", method="cbce", imbalance=100).resolve()
    assert reweighted.stage_id(0) == mislas.resolve().stage_id(0)
    assert reweighted.run_id != mislas.run_id
    assert reweighted.stages[1].loss is not None
    assert reweighted.stages[1].loss.name == "class_balanced"


@pytest.mark.parametrize(("table", "method"), list(zip(TABLES[2:5], awabs.PROPOSED, strict=True)))
def test_stage_1_rows_are_the_first_stage_of_stage_2_rows(table: str, method: str, no_data: Path) -> None:
    for dataset, factor in (("cifar10", 10), ("cifar100", 200)):
        alone = cell(table, dataset=dataset, imbalance=factor, stage="1").resolve()
        both = cell(table, dataset=dataset, imbalance=factor, stage="2").resolve()
        assert (len(alone.stages), len(both.stages)) == (1, 2)
        assert alone.run_id == alone.stage_id(0) == both.stage_id(0)
        assert alone.stages[0].loss is not None
        assert alone.stages[0].loss.name == "balanced_softmax"
        groups = cell(table, dataset=dataset, imbalance=factor, split="tail")
        assert groups.run_id == both.run_id, "the split columns are read as stage 2"
        assert parse(groups.method)[0] == method


@pytest.mark.parametrize("profile", ["quick", "laptop"])
def test_one_imbalance_factor_stands_for_all_where_time_is_short(profile: str, no_data: Path) -> None:
    for table in TABLES:
        for one in grids.cells("awabs", table):
            mapped = grids.trained(one, profile)
            if one.row["imbalance"] in (1, 100):
                assert isinstance(mapped, Experiment)
                assert mapped.model == "resnet8"
            else:
                assert isinstance(mapped, Impossible)
                assert "imbalance factor 100" in mapped.reason


def test_the_chapters_own_grid_has_every_method_of_the_tables(no_data: Path) -> None:
    printed = {one.row["method"] for table in TABLES for one in grids.cells("awabs", table)}
    assert printed == {*awabs.METHODS, "las"}
    for profile in ("quick", "laptop", "paper"):
        found, left_out = grids.experiments("awabs/methods", profile)
        assert left_out == {}
        names = {parse(exp.method)[0] for exp in found}
        assert len(names) == len(awabs.METHODS) + 3, "and the three first stages"
        assert {exp.imbalance_factor for exp in found} == {20.0 if profile == "quick" else 100.0}
    assert {exp.dataset for exp in grids.experiments("awabs/methods", "laptop")[0]} == {"cifar10"}


def test_epsilons_share_one_first_stage_and_keep_the_documents_order(no_data: Path) -> None:
    found, _ = grids.experiments("awabs/epsilons", "laptop")
    assert len({exp.resolve().stage_id(0) for exp in found}) == 1
    for exp in found:
        values = parse(exp.method)[1]
        assert 0 <= values["epsilon_tail"] <= values["epsilon_head"] <= 0.5


def test_what_the_document_leaves_to_the_future_differs_where_it_should(no_data: Path) -> None:
    mixed, plain, rare = (exp.resolve() for exp in grids.experiments("awabs/future", "paper")[0][::3])
    assert mixed.stages[0].mix is not None
    assert mixed.stages[0].mix.name == "mixed_thumbnail"
    assert plain.recipe.augmentation == ("flip",)
    assert rare.stages[1].sampler.name == "reversed"
    quick = grids.experiments("awabs/future", "quick")[0][1].resolve()
    assert quick.recipe.augmentation == (), "without its crop there is nothing left of it on digits"
