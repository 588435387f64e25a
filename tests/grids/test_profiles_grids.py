"""What each profile trains for the documents' tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltlib import grids, profiles, published, recipes
from ltlib.errors import UnknownName
from ltlib.experiment import Experiment
from ltlib.profiles import Impossible

TABLES = [str(i) for i in range(1, 10)]
DATASETS = {**dict.fromkeys("123", "cifar10"), **dict.fromkeys("456", "cifar100"), **dict.fromkeys("789", "butterfly")}


def wanted(profile: str) -> list[Experiment]:
    return [exp for name in grids.names() for exp in grids.experiments(name, profile)[0]]


@pytest.mark.parametrize("table", TABLES)
def test_every_printed_cell_has_its_experiment(table: str, no_data: Path) -> None:
    printed = published.table("convergent", table)
    found = grids.cells("convergent", table)
    assert len(found) == len(printed) > 0
    for cell, (_, row) in zip(found, printed.iterrows(), strict=True):
        exp = cell.experiment
        assert all(cell.row[key] == row[key] for key in ("dataset", "model", "method", "metric"))
        assert (exp.dataset, exp.model, exp.method) == (row["dataset"], row["model"], row["method"])
        assert exp.dataset == DATASETS[table]
        assert exp.imbalance_factor == 10
        assert exp.recipe == "convergent"
        assert len(exp.run_id) == 12


def test_quick_uses_digits_only(no_data: Path) -> None:
    found = wanted("quick")
    assert all(exp.dataset.startswith("digits") for exp in found)
    twins = {f"digits_{name}" for name in profiles.PHOTOGRAPHS}
    assert {exp.dataset for exp in found} == {"digits", "digits_folder", *twins}
    small = {text for _, text in profiles.get("quick").networks}
    assert {exp.model for exp in found} == {"resnet8", *small}
    for exp in found:
        recipe = exp.resolve().recipe
        assert set(recipe.augmentation) <= {"shift1"}, "a mirrored 3 is no 3"
        assert recipe.epochs <= 30


@pytest.mark.parametrize("profile", ["quick", "laptop"])
def test_the_represented_networks_tables_show_every_method(profile: str, no_data: Path) -> None:
    shown = 0
    for table in TABLES:
        asked = [cell.experiment for cell in grids.cells("convergent", table)]
        represented = {exp.method for exp in asked if exp.model in profiles.REPRESENTED}
        assert {exp.method for exp in grids.experiments(f"convergent/{table}", profile)[0]} == represented
        shown += len(represented)
    assert shown == 9, "three methods on three data sets"


def test_laptop_fills_the_represented_networks_columns_only(no_data: Path) -> None:
    for table in TABLES:
        for cell in grids.cells("convergent", table):
            mapped = profiles.resolve(cell.experiment, "laptop")
            if cell.experiment.model in profiles.REPRESENTED:
                assert isinstance(mapped, Experiment)
                assert mapped.model == "resnet8"
                assert mapped.dataset == cell.experiment.dataset
                assert mapped.imbalance_factor == cell.experiment.imbalance_factor
            else:
                assert isinstance(mapped, Impossible)
                assert "resnet18" in mapped.reason
        _, left_out = grids.experiments(f"convergent/{table}", "laptop")
        assert all(isinstance(reason, Impossible) for reason in left_out.values())


def test_paper_is_the_document_but_for_precision(no_data: Path) -> None:
    for table in TABLES:
        for cell in grids.cells("convergent", table):
            mapped = profiles.resolve(cell.experiment, "paper")
            assert isinstance(mapped, Experiment)
            assert profiles.differences(cell.experiment, mapped) == []
            assert mapped.replace(precision=None).run_id == cell.experiment.run_id
            assert mapped.precision == "bf16"
    kept = profiles.resolve(cell.experiment.replace(precision="float32"), "paper")
    assert isinstance(kept, Experiment)
    assert kept.precision == "float32"


def test_seeds() -> None:
    for profile, seeds in (("quick", 1), ("laptop", 1), ("paper", 3)):
        found = grids.experiments("convergent/1", profile)[0]
        assert {exp.seed for exp in found} == set(range(seeds))
        assert len({exp.cell_id for exp in found}) * seeds == len(found)


def test_warm_ups_scale_with_the_epochs() -> None:
    exp = Experiment(model="resnet32", recipe="ldam")
    mapped = profiles.resolve(exp, "laptop")
    assert isinstance(mapped, Experiment)
    recipe = mapped.resolve().recipe
    assert (recipe.epochs, recipe.warmup_epochs) == (30, 1)
    short = profiles.resolve(exp.replace(recipe="ldam[epochs=10;warmup_epochs=2]"), "laptop")
    assert isinstance(short, Experiment)
    assert short.resolve().recipe.epochs == 10, "a profile never lengthens a training"


def test_differences_are_named() -> None:
    exp = Experiment(dataset="cifar10", imbalance_factor=10, model="resnet18", method="focal", recipe="convergent")
    mapped = profiles.resolve(exp, "quick")
    assert isinstance(mapped, Experiment)
    assert profiles.differences(exp, mapped) == [
        "digits instead of cifar10",
        "resnet8 instead of resnet18",
        "imbalance factor 20 instead of 10",
        "epochs 20 instead of 100",
        "augmentation shift1 instead of flip+vflip+rotate10",
        "evaluate every 2 instead of 1",
    ]
    spelled = exp.replace(method="focal[gamma=2]", recipe="convergent[epochs=100]", seed=7, subset_seed=3)
    assert profiles.differences(exp, spelled) == []
    assert profiles.differences(exp, exp.replace(method="focal[gamma=1]")) == ["focal[gamma=1] instead of focal"]


def test_quick_keeps_a_balanced_set_balanced() -> None:
    mapped = profiles.resolve(Experiment(model="resnet18", imbalance_factor=1), "quick")
    assert isinstance(mapped, Experiment)
    assert mapped.imbalance_factor == 1


NOT_TRAINED = ("architectures/5.8", "architectures/moths")
"""Numbers of cited studies alone; a folder of the user's, which is not there."""


@pytest.mark.parametrize("profile", list(profiles.PROFILES))
def test_every_grid_can_be_resolved(profile: str, no_data: Path) -> None:
    for name in grids.names():
        found, left_out = grids.experiments(name, profile)
        nothing = name in NOT_TRAINED if profile == "paper" else left_out or name == "architectures/moths"
        assert found or nothing, name
        assert {exp.run_id for exp in found}.isdisjoint(exp.run_id for exp in left_out)
        assert len(found) == len({exp.run_id for exp in found}), f"{name} asks for a run twice"


def test_the_factors_are_the_grids_own_in_quick_too() -> None:
    found = grids.experiments("convergent/factors", "quick")[0]
    assert {exp.imbalance_factor for exp in found} == set(grids.FACTORS["quick"])


@pytest.mark.parametrize("name", ["convergent/99", "nothing/1", "convergent"])
def test_unknown_grids(name: str) -> None:
    with pytest.raises(UnknownName, match=f"unknown grid '{name}'"):
        grids.experiments(name, "quick")


def test_unknown_tables_and_documents() -> None:
    with pytest.raises(UnknownName, match="document"):
        grids.cells("nothing", "1")
    with pytest.raises(UnknownName, match="profile"):
        profiles.get("big")


def test_the_text_recipe_differs_from_the_codes() -> None:
    asked = grids.experiments("convergent/text_cifar10", "paper")[0][0].resolve().recipe
    code = recipes.create("convergent")
    assert (asked.augmentation, asked.normalise, asked.warmup_epochs) == (("crop4", "flip"), "mean_std", 10)
    assert (asked.epochs, asked.batch_size, asked.patience) == (code.epochs, code.batch_size, code.patience)


def test_the_profile_of_a_grids_cell_is_known() -> None:
    known = grids.profile_of_cells()
    assert {known[e.cell_id] for e in grids.experiments("convergent/1", "quick")[0]} == {"quick"}
    assert {known[e.cell_id] for e in grids.experiments("convergent/1", "paper")[0]} == {"paper"}


def test_figures_become_pdf_files_where_somebody_may_print_them() -> None:
    """Embedding fonts and drawing twice are the dearest parts of a figure, and nobody prints the digits'."""
    forms = {name: set(profile.figures) for name, profile in profiles.PROFILES.items()}
    assert forms == {"quick": {"svg"}, "laptop": {"svg", "png", "pdf"}, "paper": {"svg", "png", "pdf"}}


def test_quick_looks_at_a_training_ten_times_at_most() -> None:
    """Each look costs a third of a digits' epoch."""
    for recipe, every in {
        "convergent": 2,
        "convergent[epochs=10]": 1,
        "ldam": 2,
        "ldam[evaluate_every=100]": 10,
    }.items():
        mapped = profiles.resolve(Experiment("cifar10", 10, "resnet32", "ce", recipe), "quick")
        assert isinstance(mapped, Experiment)
        assert mapped.resolve().recipe.evaluate_every == every
    laptop = profiles.resolve(Experiment("cifar10", 10, "resnet32", "ce", "convergent"), "laptop")
    assert isinstance(laptop, Experiment)
    assert laptop.resolve().recipe.evaluate_every == 1
