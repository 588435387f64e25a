"""Re-sampling drawn: samplers against counts, SMOTE's points on the lines between their parents."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ltlib.datasets import resampling as library
from ltlib.errors import DataError
from ltlib.sections import resampling


def test_samplers_leave_out_and_repeat() -> None:
    targets = np.repeat([0, 1], [9, 3])
    under = resampling.uses(targets, "random_undersampling")
    over = resampling.uses(targets, "random_oversampling")
    assert [int(under[targets == c].sum()) for c in (0, 1)] == [3, 3]
    assert under.max() == 1
    assert over[targets == 0].tolist() == [1] * 9
    assert over[targets == 1].tolist() == [3] * 3


def test_between_finds_the_parents() -> None:
    draw = np.random.default_rng(2)
    x, rows = draw.normal(size=(7, 5)), np.array([1, 3, 4, 6])
    pairs = list(combinations(rows.tolist(), 2))
    made = np.array([x[a] + draw.uniform(0.1, 0.9) * (x[b] - x[a]) for a, b in pairs])
    parents, away = resampling.between(made, x, rows)
    assert [tuple(sorted(pair)) for pair in parents.tolist()] == pairs
    assert away.max() < 1e-9


def test_smote_draws_points_on_lines_of_the_small_class() -> None:
    pytest.importorskip("imblearn")
    chart = resampling.smote(resampling.pair("digits", (8, 1), (90, 12)))
    frame = chart.frame()
    made = frame[frame["kind"] == "made"]
    assert len(made) == 90 - 12
    for row in made.to_dict("records"):
        ends = frame.loc[[int(row["parent"]), int(row["other parent"])], ["x", "y"]].to_numpy()
        assert set(frame.loc[[int(row["parent"]), int(row["other parent"])], "kind"]) == {"digit 1"}
        line, own = ends[1] - ends[0], np.array([row["x"], row["y"]]) - ends[0]
        assert abs(line[0] * own[1] - line[1] * own[0]) < 1e-6


def test_any_pair_of_classes_is_drawn() -> None:
    own = resampling.pair("digits", (0, 3), (20, 5), seed=1)
    assert own.names == ("digit 0", "digit 3")
    assert np.bincount(own.targets).tolist() == [20, 5]
    chart = resampling.resampled(own, {"all": "instance_balanced", "few": "random_undersampling"})
    assert "digit 3" in chart.alt


def test_without_imbalanced_learn_the_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*args: Any, **settings: Any) -> None:
        raise DataError("SMOTE needs imbalanced-learn")

    monkeypatch.setattr(library, "resample", absent)
    said: list[Any] = []
    page: Any = SimpleNamespace(figure=None, missing=lambda *text: said.append(text))
    resampling.show_smote(page, "2.2", resampling.pair("digits", (8, 1), (9, 4)), "Mixed.")
    assert said == [("figure 2.2", "SMOTE needs imbalanced-learn", 'pip install "ltlib[imblearn]"')]
