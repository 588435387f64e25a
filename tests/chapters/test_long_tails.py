"""The helpers behind notebooks/01_long_tails: exact counts, nesting, groups, augmented views."""

from __future__ import annotations

import numpy as np
import pytest

from ltlib import datasets, published
from ltlib.chapters.long_tails import counts as long_tails
from ltlib.chapters.long_tails import pictures
from ltlib.errors import RunError


@pytest.fixture(scope="module")
def story() -> long_tails.Story:
    return long_tails.story("quick")


def test_counts_are_those_of_the_field():
    table = long_tails.counts_table().set_index(["set", "IF asked for"])
    assert table.loc[("CIFAR-10", 100), "images"] == "12,406"
    assert table.loc[("CIFAR-100", 100), "images"] == "10,847"
    assert table.loc[("CIFAR-10", 10), "images"] == "20,431"
    assert list(table.loc[("CIFAR-100", 200), ["smallest", "IF that came out"]]) == [2, "250"]
    assert "CIFAR-100 asked for IF 200 has IF 250" in long_tails.uneven()


def test_the_running_ratio_loses_an_image_and_the_usual_formula_does_not():
    table = long_tails.truncation_table().set_index("written as")
    assert table["differs"].iloc[0] == "0 of 14"
    example = table.loc["mu = (1/IF)**(1/(C-1)); int(n * mu**c)"]
    assert (example["gives"], example["exact"], example["images"], example["exactly"]) == (9, 10, 12_607, 12_608)


def test_explicit_counts_are_the_printed_ones():
    assert long_tails.printed_counts() == [7, 335, 14, 100, 700, 698, 139, 28]


def test_places_lt_has_the_published_size():
    counts = long_tails.places_lt()
    assert (len(counts), sum(counts), max(counts), min(counts)) == (365, 62_500, 4_980, 5)
    assert "5,089 species" in long_tails.field_sentence()


def test_groups_of_cifar100_by_rule_follow_the_literature():
    table = long_tails.group_sizes().set_index("IF")
    by_threshold = table["thresholds 100 / 20: head / middle / tail"]
    assert by_threshold[100] == "35 / 35 / 30"
    assert by_threshold[10] == "69 / 31 / empty"
    assert set(table["cuts by rank: head / middle / tail"]) == {"36 / 35 / 29"}


def test_the_printed_matrix_scores_by_rule_as_its_recalls_say():
    table = long_tails.group_scores(None).set_index("rule")
    matrix = published.confusion("convergent", "19").to_numpy()
    recall = 100 * np.diag(matrix) / matrix.sum(axis=1)
    assert table.loc["cuts by rank", "tail % (classes)"] == f"{recall[7:].mean():.1f} (3)"
    assert table.loc["thresholds 100 / 20", "head % (classes)"] == f"{recall.mean():.1f} (10)"
    assert table.loc["thresholds 100 / 20", "tail % (classes)"] == "empty"


def test_quick_stands_in_digits_and_says_so(story):
    assert (story.dataset, story.sets) == ("digits", ("digits",))
    assert "they stand in for CIFAR-10" in story.sentence()
    assert f"{len(story.data.train):,} of 1,297" in story.sentence()


def test_subsets_are_nested_and_rules_differ(story):
    table = long_tails.nesting_table(story)
    inside, shared = table.columns[3], table.columns[4]
    assert set(table[inside]) == {"100%"}
    assert table[shared].iloc[0] == "100%"
    assert "100%" not in set(table[shared].iloc[1:])


def test_fingerprints_are_those_of_load(story):
    table = long_tails.fingerprint_table(story)
    assert table["fingerprint"].is_unique
    row = table[(table["IF"] == "100") & (table["images picked by"] == "ldam, seed 0")].iloc[0]
    assert datasets.load("digits", imbalance_factor=100, subset="ldam").fingerprint.startswith(row["fingerprint"])


def test_validation_adds_up(story):
    table = long_tails.validation_table(story)
    assert (table["trains"] + table["validates"] == table["long-tailed subset"]).all()
    assert (table["trains"] >= 1).all()


def test_two_lines_make_the_subset_of_load(story):
    def right(train, factor):
        return datasets.choose_subset(train.targets, datasets.subset_counts(train.class_counts, factor))

    def wrong(train, factor):
        return datasets.choose_subset(train.targets, datasets.subset_counts(train.class_counts, factor), "first")

    assert "the same as from datasets.load" in long_tails.same_subset(story, right)
    assert "not those of datasets.load" in long_tails.same_subset(story, wrong)


def test_views_are_what_their_text_says(story):
    images = story.data.train.images[:5]
    assert (pictures.views("none", images, 2) == images[:, None]).all()
    for text, mirrored in (("flip", images[:, :, ::-1]), ("vflip", images[:, ::-1])):
        made = pictures.views(text, images, 20)
        same = (made == images[:, None]).all(axis=(2, 3, 4))
        other = (made == mirrored[:, None]).all(axis=(2, 3, 4))
        assert (same | other).all()
        assert same.any()
        assert other.any()


def test_chance_of_a_batch_without_the_tail(story):
    counts = story.data.class_counts
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), counts)
    misses = [9 not in generator.permutation(labels)[:32] for _ in range(4000)]
    said = float(pictures.batch_sentence(story).rsplit("%", 1)[0].rsplit(" ", 1)[1]) / 100
    assert said == pytest.approx(np.mean(misses), abs=0.03)


@pytest.mark.parametrize("draw", [pictures.augmentation_parts, pictures.two_views, pictures.samples, long_tails.rarest])
def test_pictures_say_what_they_show(story, draw):
    assert len(draw(story).alt) > 40


def test_clusters_of_another_set_answer_nothing():
    good, bad = ({"silhouette": value, "nearest_centroid": 0.5} for value in (0.3, 0.0))
    assert pictures.clustered("digits", good)[0] is None
    assert [pictures.clustered("cifar10", found)[0] for found in (good, bad)] == [True, False]


def test_a_dear_training_is_named_and_not_started(tmp_path, monkeypatch, story):
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path))
    with pytest.raises(RunError, match="ltlib reproduce --profile quick --grid convergent/features"):
        pictures.trained(story, patience=0.0)
    run, reason = pictures.run_or_reason(long_tails.Story("laptop", story.experiment, ("cifar10",)))
    assert run is None
    assert "are not on disk" in reason


def test_without_images_counts_remain_and_the_rest_says_why(monkeypatch, tmp_path):
    monkeypatch.setenv("LTLIB_DATA", str(tmp_path))
    bare = long_tails.story("laptop")
    assert bare.data is None
    assert "they are not on disk" in bare.sentence()
    assert [number for number, _, _ in long_tails.distributions(bare)] == ["3", "Counts of CIFAR-100"]
    assert set(long_tails.fingerprint_table(bare)["images"]) == {""}
