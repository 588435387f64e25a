"""Class counts by set and factor, and groups of classes by rule."""

from __future__ import annotations

from ltlib.sections import class_counts

SETS, FACTORS = ("cifar10", "cifar100"), (2, 5, 10, 20, 50, 100, 200)


def test_counts_are_those_of_the_field():
    table = class_counts.table(SETS, FACTORS).set_index(["set", "IF asked for"])
    assert table.loc[("CIFAR-10", 100), "images"] == "12,406"
    assert table.loc[("CIFAR-100", 100), "images"] == "10,847"
    assert table.loc[("CIFAR-10", 10), "images"] == "20,431"
    assert list(table.loc[("CIFAR-100", 200), ["smallest", "IF that came out"]]) == [2, "250"]
    assert "CIFAR-100 asked for IF 200 has IF 250" in class_counts.uneven(SETS, FACTORS)


def test_groups_of_cifar100_by_rule_follow_the_literature():
    rules = {"cuts by rank": "cuts[sizes=36+35+29]", "thresholds 100 / 20": "thresholds[many=100;few=20]"}
    table = class_counts.group_sizes("cifar100", FACTORS, rules).set_index("IF")
    by_threshold = table["thresholds 100 / 20: head / middle / tail"]
    assert by_threshold[100] == "35 / 35 / 30"
    assert by_threshold[10] == "69 / 31 / empty"
    assert set(table["cuts by rank: head / middle / tail"]) == {"36 / 35 / 29"}


def test_any_set_that_is_described_has_counts():
    """A set that no document of the tables uses, with a rule made up here."""
    size, classes = class_counts.full_size("digits")
    n = class_counts.counts("digits", 4)
    assert (n[0], n[-1], len(n)) == (size, size // 4, classes)
    frame = class_counts.group_shares("digits", [4], {"halves": "cuts[sizes=5+0+5]"}).iloc[0]
    assert frame["classes of the groups"] == "halves"
    assert (frame["head"], frame["tail"]) == (f"{sum(n[:5]) / sum(n):.1%}", f"{sum(n[5:]) / sum(n):.1%}")
    assert frame["middle"] == "0.0%"


def test_even_factors_are_said():
    assert class_counts.uneven(["cifar10"], [10]) == "Here no factor moves by rounding."
