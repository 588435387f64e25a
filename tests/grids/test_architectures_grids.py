"""The experiments behind `architectures`: 1,405 printed cells, four networks, two training sets."""

from __future__ import annotations

from collections import Counter

import pytest

from ltlib import datasets, grids, published
from ltlib.experiment import Experiment
from ltlib.grids.architectures import METHODS, NETWORKS, TABLES
from ltlib.profiles import Impossible

SHAPED = [table for table in published.tables("architectures") if table not in ("5.3", "5.8")]


def test_every_table_belongs_to_one_network() -> None:
    assert sorted(t for own in TABLES.values() for t in own) == sorted(published.tables("architectures"))
    for network, tables in TABLES.items():
        for table in set(tables) & set(SHAPED):
            assert set(published.table("architectures", table)["model"]) == {network}


def test_24_of_26_tables_are_one_shape() -> None:
    assert len(SHAPED) == 24
    for table in SHAPED:
        cells = grids.cells("architectures", table)
        assert len(cells) in (35, 105)  # seven methods by five test sets, alone or with loss and F1
        made = Counter(cell.experiment for cell in cells)
        assert len(made) == 7
        assert len(set(made.values())) == 1


def test_what_a_cell_trains_in_paper() -> None:
    cell = next(c for c in grids.cells("architectures", "A.8") if c.row["method"] == "ldam")
    made = grids.trained(cell, "paper")
    assert isinstance(made, Experiment)
    assert (made.dataset, made.imbalance_factor, made.test_per_class) == ("cifar100", 100, 50)
    assert made.method == "ldam[classifier=linear]"  # the printed losses exclude cosines
    assert made.model == "resnet50v2[weights=imagenet1k]"
    recipe = made.resolve().recipe
    assert (recipe.epochs, recipe.optimizer_spec.name, recipe.lr, recipe.resize) == (90, "adam", 0.001, 224)
    assert recipe.normalise == "half"  # what its weights were trained with
    assert [recipe.learning_rate(epoch, 90) for epoch in (30, 31, 60, 61)] == pytest.approx([1e-3, 1e-4, 1e-4, 1e-5])
    balanced = grids.trained(grids.cells("architectures", "5.4")[0], "paper")
    assert isinstance(balanced, Experiment)
    assert balanced.imbalance_factor == 1


def test_vit_begins_from_imagenet_21k_and_its_pixels() -> None:
    made = grids.experiments("architectures/5.6", "paper")[0][0]
    assert made.model == "vit_b_16[weights=imagenet21k]"
    assert made.resolve().recipe.normalise == "half"


@pytest.mark.parametrize("table", ["5.3", "5.8"])
def test_numbers_of_cited_studies_have_no_training(table: str) -> None:
    reasons = [grids.trained(cell, "paper") for cell in grids.cells("architectures", table)]
    cited = [reason for reason in reasons if isinstance(reason, Impossible)]
    assert len(cited) == 2
    assert all("cites from another study" in reason.reason for reason in cited)


def test_quick_trains_a_small_network_of_each_kind_once_a_table() -> None:
    for network, tables in TABLES.items():
        own = {e for t in set(tables) & set(SHAPED) for e in grids.experiments(f"architectures/{t}", "quick")[0]}
        assert len(own) == 2 * len(METHODS)
        assert {e.model for e in own} == {f"{network}[size=tiny]"}
        assert {e.dataset for e in own} == {"digits"}
        assert {(e.resolve().recipe.resize, e.resolve().recipe.epochs, e.limit) for e in own} == {(16, 8, 300)}
        assert {e.imbalance_factor for e in own} == {1, 20}


def test_laptop_leaves_fine_tuning_to_a_gpu_and_trains_the_probes() -> None:
    made, left = grids.experiments("architectures/5.1", "laptop")
    assert not made
    assert "GPU" in next(iter(left.values())).reason
    probes, left = grids.experiments("architectures/probe", "laptop")
    assert not left
    assert len(probes) == 2 * len(METHODS) * 3
    assert {e.model for e in probes} == {"efficientnet_lite0[weights=imagenet1k]"}
    assert {(e.subset_seed, e.seed) for e in probes} == {(0, 0), (1, 1), (2, 2)}  # images are drawn anew with the seed
    assert all(e.resolve().recipe.frozen == ("backbone",) for e in probes)
    assert len({e.cell_id for e in probes}) == 2 * len(METHODS)


def test_moths_are_planned_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {e.dataset for e in grids.experiments("architectures/moths", "quick")[0]} == {"digits_folder"}
    assert not datasets.available("moths@224")
    assert grids.experiments("architectures/moths", "paper") == ([], {})


def test_paper_counts() -> None:
    made = grids.wanted(grids.expand(["architectures"]), "paper")
    tables = {e for e in made if e.imbalance_type == "exponential" and e.recipe != "probe"}
    assert len(tables) == len(NETWORKS) * 2 * len(METHODS) * 3
