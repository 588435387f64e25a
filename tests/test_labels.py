"""How ids are printed."""

from __future__ import annotations

import pytest

from ltlib.labels import label


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("supcon_ce", "SupCon + CE"),
        ("focal[gamma=2]", "Focal (gamma 2)"),
        ("resnet34", "ResNet-34"),
        ("my_loss", "my loss"),
        ("Tuned: 3/4", "Tuned: 3/4"),
    ],
)
def test_label(name: str, text: str) -> None:
    assert label(name) == text
