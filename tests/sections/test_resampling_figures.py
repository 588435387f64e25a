"""Re-sampling drawn: SMOTE's points on the lines between their parents, any pair of classes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ltlib.datasets import resampling as library
from ltlib.errors import DataError
from ltlib.sections import resampling


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
