"""Feature spaces of finished runs: which images, which numbers, and that they are made once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ltlib import embedding
from ltlib.errors import RunError
from ltlib.runs import Run, features


def test_classes_come_in_equal_parts_first_images_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "POINTS", 4)
    assert features.chosen(np.array([1, 0, 0, 0, 1, 1])).tolist() == [0, 1, 2, 4]


def test_a_space_is_of_the_selected_network_and_kept(
    trained: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(features.places, "reports_folder", lambda: tmp_path)
    made = features.space(trained)
    assert len(made.features) == len(made.targets) == len(made.points)
    assert made.scores == embedding.separability(made.features, made.targets)
    assert made.tail.keys() == made.scores.keys()
    monkeypatch.setattr(embedding, "features", lambda *given, **more: pytest.fail("features were made twice"))
    again = features.space(trained)
    np.testing.assert_array_equal(again.features, made.features)
    np.testing.assert_array_equal(again.points, made.points)


def test_a_method_without_weights_is_named_unless_another_run_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def space(run: Any) -> Any:
        if not run.weights:
            raise RunError("no weights")
        return run

    monkeypatch.setattr(features, "space", space)
    runs: Any = [
        SimpleNamespace(experiment=SimpleNamespace(method=method), weights=weights)
        for method, weights in (("ce", False), ("ce", True), ("focal[gamma=2]", False))
    ]
    found, absent = features.spaces(runs)
    assert found == {"ce": runs[1]}
    assert absent == {"focal": "no weights"}
