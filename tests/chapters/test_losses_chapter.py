"""The helpers behind notebooks/02_losses: curves of every loss, first pushes, limits, sentences, pictures."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import torch

from ltlib import losses, mixing
from ltlib.batches import augment
from ltlib.chapters.long_tails import counts as long_tails
from ltlib.chapters.losses import curves as chapter
from ltlib.chapters.losses import facts as loss_facts
from ltlib.chapters.losses import gallery
from ltlib.errors import SettingError
from ltlib.registry import parse


@pytest.fixture(scope="module")
def story() -> long_tails.Story:
    return gallery.story("quick")


@pytest.fixture(scope="module")
def batch(story) -> chapter.MiniBatch:
    return chapter.mini_batch(story, size=64)


# --- curves ----------------------------------------------------------------------------------------------------------


def test_every_loss_that_reads_logits_is_drawn_and_no_other():
    drawn = {parse(name)[0] for names in chapter.FAMILIES.values() for name in names}
    assert drawn == set(chapter.classification())
    assert set(losses.names()) - drawn == {"supcon", "simclr", "bcl", "kcl", "tsc"}


def test_panels_hold_the_formulas_at_head_and_tail():
    figure = chapter.panels(["ce", "balanced_softmax"], ("loss",), (900, 90, 10)).frame()
    counts = np.array([900, 90, 10])
    for name, true, p, loss in figure.itertuples(index=False, name=None):
        share = counts[true] * p
        others = (counts.sum() - counts[true]) * (1 - p) / 2
        wanted = -math.log(p) if name == "ce" else -math.log(share / (share + others))
        assert loss == pytest.approx(wanted, rel=1e-6)


def test_deferred_losses_are_drawn_after_their_switch():
    plain, late = (chapter.curve(name, (500, 50), 1)["loss"] for name in ("ce", "deferred"))
    weight = losses.class_weights((500, 50), "effective_number", beta=0.9999)[1].item()
    assert late == pytest.approx([weight * value for value in plain], rel=1e-6)
    assert weight > 1


def test_a_figure_is_as_high_as_it_is_told_and_says_its_numbers():
    figure = chapter.focal_by_gamma()
    assert figure.axes[0].get_ylim() == (0, 5)
    assert "Focal (gamma 2) 1.87 and 0.00105" in figure.alt  # (1 - p)^2 times -log p


@pytest.mark.parametrize("name", chapter.classification())
def test_the_sliders_draw_every_loss(name):
    quantity = ("loss", "gradient", "factor")[len(name) % 3]
    figure = chapter.explore(name, imbalance_factor=20, classes=3, quantity=quantity)
    assert np.isfinite(figure.frame()[quantity]).all()


def test_the_table_of_losses_has_all_of_them_with_their_settings():
    table = chapter.loss_table().set_index("loss")
    assert list(table.index) == losses.names()
    assert table.loc["focal", "settings"] == "gamma 2, alpha none"
    assert table.loc["kcl", "reads"] == "features"
    assert table.loc["awabs", "module"] == "losses.smoothing"


# --- first pushes and a batch ----------------------------------------------------------------------------------------


def test_the_first_push_of_cross_entropy_is_the_prior_minus_its_even_share():
    counts = (60, 30, 10)
    assert chapter.first_push("ce", counts) == pytest.approx([n / 100 - 1 / 3 for n in counts])
    assert chapter.first_push("balanced_softmax", counts) == pytest.approx([0, 0, 0], abs=1e-12)
    assert chapter.first_push("weighted_ce", counts) == pytest.approx([0, 0, 0], abs=1e-12)


def test_shares_of_a_batch(batch):
    images = np.array(batch.images()) / len(batch.targets)
    assert batch.shares("ce", trained=False) == pytest.approx(images)
    present = images > 0
    assert np.array(batch.shares("loss_equalised[scope=loss]"))[present] == pytest.approx(1 / present.sum())
    equal = np.array(batch.shares("loss_equalised", trained=False))[present]
    assert equal == pytest.approx(1 / present.sum())


def test_the_batch_is_drawn_as_the_data_and_the_sentence_counts_it(batch):
    images = batch.images()
    assert sum(images) == 64
    assert f"Of 64 images {max(images)} are of class {images.index(max(images))}" in chapter.balance_sentence(batch)
    assert len(chapter.all_shares(batch).frame()["loss name"].unique()) >= len(chapter.classification()) - 1


# --- facts -----------------------------------------------------------------------------------------------------------


def test_the_losses_meet_where_they_should():
    table = loss_facts.limits().set_index("limit")
    apart = table.index[table["the same"] == "no"]
    assert list(apart) == ["loss equalisation of loss sums, balanced batch"]
    gaps = table["largest difference"].astype(float)
    exact = gaps.drop([*apart, *(name for name in table.index if ".0000" in name or ".9999" in name)])
    assert (exact < 1e-12).all()
    wanted = (
        "class-balanced, beta 0",
        "balanced softmax",
        "VS, gamma 0",
        "focal, gamma 0",
        "LDAM, margin 0, on cosines",
    )
    assert set(wanted) < set(table.index)


def test_the_printed_twins_are_the_documents_numbers():
    assert "0.7978, 0.7978, 0.7978 and 0.8034" in loss_facts.printed_twins()


def test_sentences_are_judged_by_the_formulas(batch):
    found = {source: [] for _, source, *_ in loss_facts._claims(batch)}
    for _, source, answer, _ in loss_facts._claims(batch):
        found[source].append(answer)
    assert found == {
        "cefl, section III.C": [True, True, False],
        "awabs, section 2.2.1": [False],
        "awabs, section 2.2.2": [False],
        "loss_balance, abstract": [None],
    }


def test_the_gradient_of_awabs_has_the_wrong_sign_at_odd_gamma_only():
    for p, gamma in ((0.3, 1.0), (0.6, 2.0), (0.8, 3.0)):
        printed, found = loss_facts._focal_gradient(p, gamma)
        right = (1 - p) ** gamma * (gamma * p * math.log(p) + p - 1)
        assert found == pytest.approx(right, rel=1e-9)
        assert printed == pytest.approx(right if gamma % 2 == 0 else -right, rel=1e-9)


def test_every_disagreement_names_registered_losses():
    table = loss_facts.differences()
    for names in table["loss"]:
        assert all(name in losses.LOSSES for name in names.split(", "))
    assert not (table == "").any().any()


def test_trials_leave_no_run_behind(reports):
    table = loss_facts.trials(["ce"], "convergent[augmentation=shift1;epochs=1]")
    assert list(table["method"]) == ["CE"]
    assert os.environ["LTLIB_REPORTS"] == str(reports)
    assert not reports.exists() or not any(reports.rglob("*"))


# --- gallery ---------------------------------------------------------------------------------------------------------


def test_every_figure_of_the_gallery_is_drawn_and_says_what_it_shows(story):
    figures = {number: chart for number, chart, _ in gallery._gallery(story)}
    assert set(figures) == {f"awabs/2.{n}" for n in range(4, 9)} | {"Remix", "Learnt policies"}
    assert all(len(chart.alt) > 30 for chart in figures.values())
    assert "share of 0 is 0.9, 0.7, 0.5, 0, 0" in figures["Remix"].alt  # the head's label goes where lambda < 0.5


def test_mixup_is_the_weighted_mean_of_the_pixels(story):
    images, _ = gallery._images(story, (0, 9))
    made = gallery.mix(story, mixing.create("mixup"), images[:1], images[1:], {"lam": torch.tensor([0.25])})
    wanted = 0.25 * images[:1].astype(float) + 0.75 * images[1:]
    assert np.abs(made - wanted).max() <= 0.501


def test_cutmix_keeps_the_share_of_pixels_it_says(story):
    kind = mixing.create("cutmix[per_sample=true]")
    size = story.data.image_size
    black, white = np.zeros((8, size, size, 3), np.uint8), np.full((8, size, size, 3), 255, np.uint8)
    draws = gallery._draws(kind, 8, (size, size), seed=3)
    made = gallery.mix(story, kind, black, white, draws)
    assert (made == 0).mean((1, 2, 3)) == pytest.approx(draws["lam"].numpy())


def test_cutout_as_augmentation_is_a_black_square(story):
    white = np.full((4, 8, 8, 3), 255, np.uint8)
    made = gallery._augmented("cutout4", white)
    draws = augment.create("cutout4").draw(torch.Generator().manual_seed(5), (4,))
    wanted = augment.cutout(torch.from_numpy(white), draws["hole_y"], draws["hole_x"], draws["hole_side"])
    assert (made == wanted.numpy()).all()
    assert (made == 0).any()


def test_cmo_pastes_the_rarest_class_as_often_as_any(story):
    *_, draws, _ = gallery._cmo(story, 4000)
    chosen = story.data.train.targets[draws["partner"].numpy()]
    assert (chosen == 9).mean() == pytest.approx(0.1, abs=0.02)
    assert "the rarest" in gallery.cmo_sentence(story)


def test_digits_stand_in_where_images_are_missing(no_data):
    shown = gallery.story("laptop")
    assert shown.dataset == "digits"
    assert "They stand in here: the images of CIFAR-10 are not on disk" in gallery.sentence("laptop", shown)


def test_a_contrastive_loss_has_no_curve():
    with pytest.raises(SettingError, match="no curve"):
        chapter.curve("supcon", (1, 1), 0)
