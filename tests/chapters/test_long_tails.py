"""The helpers behind notebooks/01_long_tails: exact counts, nesting, groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ltlib import datasets, published
from ltlib.chapters.long_tails import clusters, field, groups, subsets
from ltlib.chapters.long_tails import counts as long_tails
from ltlib.pages.page import Page
from ltlib.sections import images

SETS, FACTORS = ("cifar10", "cifar100"), (2, 5, 10, 20, 50, 100, 200)
RULES = {
    "cuts by rank": "cuts[sizes=3+4+3]",
    "thresholds 100 / 20": "thresholds[many=100;few=20]",
    "thirds by rank": "thirds",
}


@pytest.fixture(scope="module")
def story() -> images.Images:
    return images.of("cifar10", "convergent/features", "quick")


def test_the_running_ratio_loses_an_image_and_the_usual_formula_does_not():
    table = long_tails.truncation_table(SETS, FACTORS).set_index("written as")
    assert table["differs"].iloc[0] == "0 of 14"
    example = table.loc["mu = (1/IF)**(1/(C-1)); int(n * mu**c)"]
    assert (example["gives"], example["exact"], example["images"], example["exactly"]) == (9, 10, 12_607, 12_608)


def test_explicit_counts_are_the_printed_ones():
    assert long_tails.printed_counts() == [7, 335, 14, 100, 700, 698, 139, 28]


def test_places_lt_has_the_published_size():
    counts = field.places_lt()
    assert (len(counts), sum(counts), max(counts), min(counts)) == (365, 62_500, 4_980, 5)
    assert "5,089 species" in field.field_sentence()


def test_the_printed_matrix_scores_by_rule_as_its_recalls_say():
    table = groups.group_scores(None, RULES).set_index("rule")
    matrix = published.confusion("convergent", "19").to_numpy()
    recall = 100 * np.diag(matrix) / matrix.sum(axis=1)
    assert table.loc["cuts by rank", "tail % (classes)"] == f"{recall[7:].mean():.1f} (3)"
    assert table.loc["thresholds 100 / 20", "head % (classes)"] == f"{recall.mean():.1f} (10)"
    assert table.loc["thresholds 100 / 20", "tail % (classes)"] == "empty"


def test_subsets_are_nested_and_rules_differ(story):
    table = subsets.nesting(story.source.train, wide=10, steep=100)
    inside, shared = table.columns[3], table.columns[4]
    assert set(table[inside]) == {"100%"}
    assert table[shared].iloc[0] == "100%"
    assert "100%" not in set(table[shared].iloc[1:])


def test_fingerprints_are_those_of_load(story):
    table = subsets.fingerprints(["digits"], (10, 100))
    assert table["fingerprint"].is_unique
    row = table[(table["IF"] == "100") & (table["images picked by"] == "ldam, seed 0")].iloc[0]
    assert datasets.load("digits", imbalance_factor=100, subset="ldam").fingerprint.startswith(row["fingerprint"])


def test_validation_adds_up(story):
    table = subsets.validation(story.experiment)
    assert (table["trains"] + table["validates"] == table["long-tailed subset"]).all()
    assert (table["trains"] >= 1).all()


def test_two_lines_make_the_subset_of_load(story):
    def right(train, factor):
        return datasets.choose_subset(train.targets, datasets.subset_counts(train.class_counts, factor))

    def wrong(train, factor):
        return datasets.choose_subset(train.targets, datasets.subset_counts(train.class_counts, factor), "first")

    assert "the same as from datasets.load" in subsets.same_subset(story, right)
    assert "not those of datasets.load" in subsets.same_subset(story, wrong)


def test_clusters_of_another_set_answer_nothing():
    good, bad = ({"silhouette": value, "nearest_centroid": 0.5} for value in (0.3, 0.0))
    assert clusters.clustered("digits", good)[0] is None
    assert [clusters.clustered("cifar10", found)[0] for found in (good, bad)] == [True, False]


def test_without_images_nothing_is_clustered_and_each_set_says_why(no_data):
    assert clusters.clustered("cifar10", None) == (None, "The images are not on disk.")
    assert set(subsets.fingerprints(SETS, (10, 100))["images"]) == {""}


def test_rarest_says_how_many_images_two_rules_share(story):
    assert "the rarest, under 4 rules" in subsets.rarest(story.source.train, 20).alt


def test_before_and_after_are_both_drawn(story):
    assert "20,431" in long_tails.before_and_after("cifar10", 10).alt
    assert f"{len(story.data.train):,}" in long_tails.of_this_page(story).alt


def test_the_page_stands_without_images(no_data, executed_without_runs: Callable[[str, str], Page]) -> None:
    """Counts, rules and claims are there; each figure that needs images says why it is not."""
    record = executed_without_runs("01_long_tails", "laptop").record()
    assert [item["number"] for item in record["missing"]] == ["2"]
    assert {"1", "3", "Counts of CIFAR-100", "Algorithm 1", "Shapes"} <= set(record["figures"])
    assert "Samples" not in record["figures"]
    assert record["claims"][1]["evidence"] == "The images are not on disk."
