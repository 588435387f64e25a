"""Seeds crossed with choices of images: components by hand and by simulation, runs by hand, tables of planted runs."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ltlib import grids, plots, profiles
from ltlib.chapters.beyond import crossed
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.statistics import runs_needed, variance_components


def test_components_of_a_table_worked_out_by_hand() -> None:
    """Rows 0, 2; columns 0, 4; and one cell 1 too high: [[0, 4], [2, 7]].

    Means 2, 4.5 by row and 1, 5.5 by column, 3.25 in all. Mean squares: rows 2 (2 * 1.25^2) = 6.25, columns
    2 (2 * 2.25^2) = 20.25, and 0.25 of the rest, which is 0.25 in each cell. Variances (6.25 - 0.25) / 2 = 3 and
    (20.25 - 0.25) / 2 = 10.
    """
    found = variance_components([[0, 4], [2, 7]])
    assert found[:4] == pytest.approx((3.25, 3**0.5, 10**0.5, 0.5))
    assert found.row_chance == pytest.approx(stats.f.sf(6.25 / 0.25, 1, 1))
    assert found.column_chance == pytest.approx(stats.f.sf(20.25 / 0.25, 1, 1))
    assert found.total == pytest.approx(math.sqrt(3 + 10 + 0.25))


def test_components_are_right_on_average() -> None:
    """4,000 tables of 4 x 5 with standard deviations 1, 2 and 0.5: mean squares of the estimates within 4%."""
    draws = np.random.default_rng(0)
    size = (4_000, 4, 5)
    made = draws.normal(0, 1, (*size[:2], 1)) + draws.normal(0, 2, (size[0], 1, size[2])) + draws.normal(0, 0.5, size)
    found = np.array([variance_components(table)[1:4] for table in made])
    assert (found**2).mean(0) == pytest.approx([1, 4, 0.25], rel=0.04)


def test_chance_is_uniform_where_there_is_no_effect() -> None:
    draws = np.random.default_rng(1)
    found = [variance_components(draws.normal(size=(3, 4))).row_chance for _ in range(2_000)]
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array([variance_components(draws.normal(size=(3, 4))).rows for _ in range(200)]) == 0) > 0.3


@pytest.mark.parametrize("table", [[[1.0, 2.0]], [[1.0], [2.0]], [1.0, 2.0], [[1.0, math.nan], [1.0, 2.0]]])
def test_a_table_that_is_none_is_refused(table: Any) -> None:
    with pytest.raises(SettingError, match="two rows and columns"):
        variance_components(table)


def test_runs_that_a_difference_needs() -> None:
    """Three runs a side with s = 0.5: t(4) 0.5 sqrt(2/3) = 1.13, four: t(6) 0.5 sqrt(2/4) = 0.87; of pairs
    t(2) 0.5 / sqrt(3) = 1.24 and t(3) 0.5 / sqrt(4) = 0.80."""
    assert runs_needed(0.5, 1.0) == 4
    assert runs_needed(0.5, 1.0, paired=True) == 4
    assert runs_needed(0.0, 1.0) == 2
    assert runs_needed(5.0, 1.0) == 194  # t(386) = 1.966, and with 193 a side 1.0007
    assert runs_needed(1e9, 1.0, most=50) == 50
    with pytest.raises(SettingError, match="above 0"):
        runs_needed(1.0, 0.0)


def a_run(method: str, seed: int, choice: int, accuracy: float, best: float | None = None) -> Any:
    exp = Experiment("cifar100", 100, "resnet8", method, "ldam", seed=seed, subset_seed=choice)
    history = pd.DataFrame({"stage": [1, 1, 1], "test_accuracy": [best or accuracy, math.nan, accuracy]})
    group = {"tail": {"accuracy": accuracy / 2}}
    return SimpleNamespace(
        id=exp.run_id, experiment=exp, metrics={"last": {"accuracy": accuracy, "ece": 0.1, "groups": group}},
        history=history, fingerprint="f",
    )  # fmt: skip


def planted(method: str, table: list[list[float]]) -> list[Any]:
    return [a_run(method, i, j, value) for i, row in enumerate(table) for j, value in enumerate(row)]


def test_tables_keep_the_seeds_that_every_choice_has() -> None:
    runs = planted("ce", [[0.30, 0.34], [0.32, 0.37]])
    name = "CE, ResNet-8, CIFAR-100-LT at 100"
    assert crossed.name_of(runs[0]) == name
    assert crossed.tables([*runs, a_run("ce", 2, 0, 0.9)], crossed.accuracy)[name].tolist() == [
        [0.30, 0.34],
        [0.32, 0.37],
    ]
    assert crossed.tables([a_run("ce", 0, 0, 0.1), a_run("ce", 1, 1, 0.2)], crossed.accuracy) == {}


def test_two_methods_on_the_same_pairs_are_subtracted_run_by_run() -> None:
    runs = planted("balanced_softmax", [[0.40, 0.42], [0.41, 0.43]]) + planted("ce", [[0.30, 0.34], [0.32, 0.37]])
    found = crossed.tables(runs, crossed.accuracy)
    ((names, values),) = crossed.paired(found).items()
    assert [name.partition(",")[0] for name in names] == ["Balanced softmax", "CE"]
    assert values == pytest.approx(np.array([[0.10, 0.08], [0.09, 0.06]]))
    said = crossed.differences_sentence(crossed.paired(found))
    assert "is +8.2 points, +6.0 to +10.0 in 4 pairs" in said
    frame = crossed.needed_frame(found, crossed.paired(found))
    assert list(frame["training"]) == list(found)
    assert (frame["pairs with the same images and seed"] != "–").all()


def test_components_are_shown_in_points() -> None:
    runs = planted("ce", [[0.00, 0.04], [0.02, 0.07]])
    names = crossed.tables(runs, crossed.accuracy)
    row = crossed.components_frame(runs, names).iloc[0]
    assert (row["seed"], row["images"], row["rest"]) == ("1.73", "3.16", "0.50")  # as in the table above
    assert "seeds 1.73 (not told from 0), images 3.16 (not told from 0), the rest 0.50" in crossed.sentence(names)


def test_the_best_epoch_is_held_against_the_last() -> None:
    runs = [a_run("ce", 0, 0, 0.30, best=0.32), a_run("ce", 1, 0, 0.30), a_run("focal", 0, 0, 0.3)]
    frame = crossed.epochs_frame(runs)
    first = frame.iloc[0]
    assert first["training"].startswith("CE")
    assert (first["runs"], first["epochs looked at"]) == (2, 2)
    assert (first["best minus last (points)"], first["most (points)"]) == ("1.00", "2.00")


def test_every_seed_meets_every_choice_in_the_grid() -> None:
    for profile, size in {"quick": 2, "laptop": 3, "paper": 3}.items():
        every = grids.experiments("beyond/crossed", profile)[0]
        pairs: dict[str, set[tuple[int, int]]] = {}
        for exp in every:
            pairs.setdefault(exp.cell_id, set()).add((exp.seed, exp.subset_seed))
        assert len(pairs) == 4
        assert set(map(len, pairs.values())) == {size**2}
    probes = {exp.run_id for exp in grids.experiments("architectures/probe", "laptop")[0]}
    assert len(probes & {exp.run_id for exp in grids.experiments("beyond/crossed", "laptop")[0]}) == 6
    assert profiles.get("laptop").network == "resnet8"


def test_the_figure_shows_every_run_and_tells_the_means() -> None:
    fig = plots.crossed.crossed({"CE": [[0.30, 0.34], [0.32, 0.38]]})
    assert fig.alt == "Accuracy. CE: 31.0%, 36.0% by choice of images, seeds 4.0 points apart at most."
    assert len(fig.frame()) == 4
    with pytest.raises(SettingError, match="at least one table"):
        plots.crossed.crossed({})
