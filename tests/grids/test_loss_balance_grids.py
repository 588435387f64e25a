"""What stands for the cells of `loss_balance`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltlib import datasets, grids, profiles, published
from ltlib.grids import loss_balance


def test_every_printed_cell_has_its_experiment(no_data: Path) -> None:
    for table in ("1", "2"):
        found = grids.cells("loss_balance", table)
        assert len(found) == len(published.table("loss_balance", table)) > 0
        for one in found:
            assert one.experiment.dataset == one.row["dataset"]
            assert one.experiment.imbalance_factor == 1, "the set is a long tail as it is"
            assert one.experiment.model.endswith("[stem=imagenet;weights=imagenet1k_v1]")
    methods = {one.experiment.method for one in grids.cells("loss_balance", "2")}
    assert methods == {"ce", "oversampling", "prior_equalised", "loss_equalised"}


@pytest.mark.parametrize("subset", loss_balance.SUBSETS)
def test_the_sets_have_the_printed_counts(subset: str, no_data: Path) -> None:
    rows = published.table("loss_balance", "1")
    rows = rows[rows["dataset"] == subset].set_index("split")["value"]
    printed = [int(value) for name, value in rows.items() if str(name).startswith("C")]
    info = datasets.info(subset)
    assert info.train_images == sum(printed)
    assert info.num_classes == len(printed) == int(rows["test_classes"])
    assert info.test_images == int(rows["test_classes"]) * int(rows["test_per_class"])


def test_the_recipe_is_one_and_ours(no_data: Path) -> None:
    recipe = grids.cells("loss_balance", "2")[0].experiment.resolve().recipe
    values = (recipe.epochs, recipe.batch_size, recipe.lr, recipe.momentum, recipe.schedule, recipe.selection)
    assert values == (30, 32, 0.01, 0.9, "cosine", "last")
    assert recipe.learning_rate(1, 30) == 0.01
    assert recipe.learning_rate(30, 30) < 1e-4


def test_five_seeds_and_the_subset_alone(no_data: Path) -> None:
    for profile, seeds, networks in (("quick", 1, 1), ("laptop", 5, 1), ("paper", 5, 3)):
        found, left = grids.experiments("loss_balance/caltech_part", profile)
        assert len(found) == 4 * seeds * networks
        assert len({exp.dataset for exp in found}) == 1
        assert len(left) == 4 * (3 - networks)


def test_the_batch_sizes_share_the_recipes_own(no_data: Path) -> None:
    found, _ = grids.experiments("loss_balance/batch_caltech_part", "laptop")
    sizes = [exp.resolve().recipe.batch_size for exp in found if exp.seed == 0]
    assert sorted(sizes) == sorted([8, 32, 128] * 3)
    own = {exp.run_id for exp in grids.experiments("loss_balance/caltech_part", "laptop")[0]}
    assert sum(exp.run_id in own for exp in found) == 3 * 5, "CE, PE and LE at 32, five seeds"


def test_a_laptop_reads_photographs_smaller(no_data: Path) -> None:
    found, _ = grids.experiments("loss_balance/caltech_part", "laptop")
    assert {exp.dataset for exp in found} == {"caltech_part@32"}
    (cell, *_) = grids.cells("loss_balance", "2")
    mapped = grids.trained(cell, "laptop")
    assert "caltech_part@32 instead of caltech_part" in profiles.differences(cell.experiment, mapped)
