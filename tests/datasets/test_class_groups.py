"""Head, middle and tail by every rule."""

from __future__ import annotations

import pytest

from ltlib.datasets.class_groups import groups
from ltlib.datasets.longtail import long_tailed_counts
from ltlib.errors import SettingError, UnknownName


def sizes(found: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    assert list(found) == ["head", "middle", "tail"]
    return tuple(len(part) for part in found.values())


@pytest.mark.parametrize("factor", [10, 100, 200])
def test_cuts_are_index_cuts_where_class_0_is_largest(factor: int) -> None:
    found = groups(long_tailed_counts(500, 100, factor), "cuts[sizes=36+35+29]")
    assert found == {"head": tuple(range(36)), "middle": tuple(range(36, 71)), "tail": tuple(range(71, 100))}
    assert sizes(groups(long_tailed_counts(5000, 10, factor), "cuts[sizes=3+4+3]")) == (3, 4, 3)


def test_cuts_follow_the_counts() -> None:
    counts = long_tailed_counts(5000, 10, 100)
    assert groups(counts[::-1], "cuts[sizes=3+4+3]")["head"] == (7, 8, 9)
    assert groups([7] * 4, "cuts[sizes=1+0+3]") == {"head": (0,), "middle": (), "tail": (1, 2, 3)}


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(10, (69, 31, 0)), (20, (53, 47, 0)), (50, (41, 41, 18)), (100, (35, 35, 30)), (200, (30, 31, 39))],
)
def test_thresholds_on_cifar100(factor: int, expected: tuple[int, int, int]) -> None:
    counts = long_tailed_counts(500, 100, factor)
    assert sizes(groups(counts, "thresholds[many=100;few=20]")) == expected
    assert groups(counts, "thresholds") == groups(counts, "thresholds[few=20]")


def test_thresholds_are_strict() -> None:
    assert groups([101, 100, 20, 19], "thresholds") == {"head": (0,), "middle": (1, 2), "tail": (3,)}
    assert groups([5000] * 3, "thresholds") == {"head": (0, 1, 2), "middle": (), "tail": ()}


@pytest.mark.parametrize(
    ("classes", "expected"), [(10, (3, 4, 3)), (100, (33, 34, 33)), (9, (3, 3, 3)), (8, (3, 2, 3)), (2, (1, 0, 1))]
)
def test_thirds(classes: int, expected: tuple[int, int, int]) -> None:
    counts = list(range(1, classes + 1))
    found = groups(counts)
    assert sizes(found) == expected
    assert classes - 1 in found["head"]
    assert found == groups(counts, "thirds")
    assert 0 in groups([4] * classes)["head"]


def test_a_group_is_no_mask() -> None:
    for wrong in ([True, False, True], [0.0], [0.5], ["0"]):
        with pytest.raises(SettingError, match="classes of group head must be a list of whole numbers"):
            groups([1, 2, 3], {"head": wrong})  # type: ignore[dict-item]
    assert groups([1, 2, 3], {"head": {0, 1}, "tail": range(2, 3)})["head"] == (0, 1)  # type: ignore[dict-item]


def test_named_classes() -> None:
    assert groups([1, 2, 3], {"tail": [0], "head": [2]}) == {"head": (2,), "middle": (), "tail": (0,)}
    for wrong in ({"tail": [0, 0]}, {"tail": [0], "head": [0]}, {"head": [3]}, {"head": [-1]}):
        with pytest.raises(SettingError, match="classes 0 to 2, none of them twice"):
            groups([1, 2, 3], wrong)
    with pytest.raises(UnknownName, match="did you mean tail"):
        groups([1, 2, 3], {"tial": [0]})


@pytest.mark.parametrize(
    "rule",
    [
        *("cuts", "cuts[sizes=3]", "cuts[sizes=3+4]", "cuts[sizes=3+4+4]", "cuts[sizes=5+6+-1]", "cuts[sizes=3+4+x]"),
        *("thresholds[many=x]", "thresholds[many=10;few=20]"),
    ],
)
def test_refused_rules(rule: str) -> None:
    with pytest.raises(SettingError, match="group rule"):
        groups([1] * 10, rule)


def test_unknown_rules() -> None:
    with pytest.raises(UnknownName, match="did you mean thresholds"):
        groups([1] * 10, "threshold")
    with pytest.raises(UnknownName, match="did you mean few"):
        groups([1] * 10, "thresholds[fw=3]")
