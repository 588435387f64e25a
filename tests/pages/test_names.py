"""What tables and figures are called."""

from __future__ import annotations

import pytest

from ltlib.pages import names


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        (["1", "2", "3", "7", "A.1"], "1-3, 7, A.1"),
        (["5.1", "5.2", "5.3", "5.9", "5.10", "5.11"], "5.1-5.3, 5.9-5.11"),
        (["1", "2"], "1, 2"),
        ([], ""),
    ],
)
def test_ranges(numbers: list[str], text: str):
    assert names.ranges(numbers) == text


def test_names_and_anchors():
    assert names.slug("figure", "Algorithm 1") == "figure-algorithm-1"
    assert names.slug("table", "A.10") == "table-a-10"
    called = [names.label("figure", number) for number in ("5", "A.1", "Algorithm 1", "cefl/2")]
    assert called == ["Figure 5", "Figure A.1", "Algorithm 1", "Figure cefl/2"]
