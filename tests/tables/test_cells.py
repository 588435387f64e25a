"""Printed cells and columns, as fractions."""

from __future__ import annotations

import pandas as pd
import pytest

from ltlib import published
from ltlib.tables import cells


@pytest.fixture
def print_of_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {("all", "1"): 40.0, ("all", "2"): 50.0, ("head", ""): 80.0, ("tail", ""): 30.0}
    row = {"dataset": "cifar10", "imbalance": 10.0, "method": "new", "metric": "accuracy", "unit": "percent"}
    rows = [row | {"split": split, "stage": stage, "value": v} for (split, stage), v in values.items()]
    monkeypatch.setattr(published, "table", lambda document, table: pd.DataFrame(rows))


@pytest.mark.usefixtures("print_of_toy")
def test_printed_cells_take_the_last_stage_as_fractions() -> None:
    assert cells.column("toy", "1", imbalance=10) == {"accuracy": {"new": 0.5}}
    assert cells.column("toy", "1", imbalance=20) == {}
    assert cells.cell("toy", "1", method="new") == {"accuracy": 0.5, "head": 0.8, "tail": 0.3}
