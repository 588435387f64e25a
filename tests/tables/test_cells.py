"""Printed cells and columns, as fractions."""

from __future__ import annotations

import pytest

from ltlib.tables import cells


@pytest.mark.usefixtures("print_of_toy")
def test_printed_cells_take_the_last_stage_as_fractions() -> None:
    assert cells.column("toy", "1", imbalance=10) == {"accuracy": {"new": 0.5}}
    assert cells.column("toy", "1", imbalance=20) == {}
    assert cells.cell("toy", "1", method="new") == {"accuracy": 0.5, "head": 0.8, "tail": 0.3}
