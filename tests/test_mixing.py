"""Mixings against loops over single images, their draws' distributions, and torchvision where definitions meet."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ltlib import mixing
from ltlib.errors import SettingError, UnknownName
from ltlib.mixing import look

SIZE = (8, 8)
COUNTS = torch.tensor([100, 30, 10, 2])
TARGETS = torch.arange(4).repeat_interleave(COUNTS)


def images(count: int = 6, size: tuple[int, int] = SIZE, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


ONE_VIEW = [name for name in mixing.names() if mixing.create(name).views == 1 and name != "guided_cutmix"]
"""The others are tested with the method they are for."""


def draw(text: str, shape: tuple[int, int], seed: int = 0, size: tuple[int, int] = SIZE, **more):
    made = mixing.create(text)
    more = {"targets": TARGETS, "epoch": 5, "epochs": 10} | more
    return made, made.draw(torch.Generator().manual_seed(seed), shape, size, **more)


def step(draws: dict[str, torch.Tensor], s: int = 0) -> dict[str, torch.Tensor]:
    return {name: value[s] for name, value in draws.items()}


def label_weights(targets: torch.Tensor, partners: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    own, other = F.one_hot(targets, 4), F.one_hot(partners, 4)
    return share[:, None] * own + (1 - share[:, None]) * other


# --- what is drawn ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", mixing.names())
def test_draws_have_the_documented_names_types_and_shapes(text):
    made, draws = draw(text, (3, 6))
    expected = {"lam": (torch.float32, (3, 6 * made.views))}
    if made.partners != "none":
        expected["partner"] = (torch.int64, (3, 6))
    if text not in ("mixup", "remix"):
        expected["box"] = (torch.int64, (3, 6, 4))
    assert {name: (value.dtype, tuple(value.shape)) for name, value in draws.items()} == expected
    assert (draws["lam"] >= 0).all()
    assert (draws["lam"] <= 1).all()


@pytest.mark.parametrize("text", [name for name in mixing.names() if mixing.create(name).partners == "batch"])
def test_partners_are_permutations_of_the_batch(text):
    _, draws = draw(text, (40, 7))
    assert torch.equal(draws["partner"].sort(1).values, torch.arange(7).expand(40, 7))
    assert len({tuple(row) for row in draws["partner"].tolist()}) > 30


def test_every_permutation_is_equally_likely():
    _, draws = draw("mixup", (6000, 3), seed=1)
    cells = torch.bincount((draws["partner"] * torch.tensor([9, 3, 1])).sum(1))
    cells = cells[cells > 0]
    assert len(cells) == 6
    assert stats.chisquare(cells.numpy()).pvalue > 0.01


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("name", ["mixup", "remix"])
def test_lambda_is_beta_distributed_and_one_for_the_batch(name, alpha):
    _, draws = draw(f"{name}[alpha={alpha}]", (3000, 2), seed=2)
    assert torch.equal(draws["lam"][:, 0], draws["lam"][:, 1])
    assert stats.kstest(draws["lam"][:, 0].numpy(), stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_a_lambda_for_every_image():
    _, draws = draw("mixup[per_sample=true;alpha=0.4]", (30, 100), seed=3)
    assert stats.kstest(draws["lam"].flatten().numpy(), stats.beta(0.4, 0.4).cdf).pvalue > 0.01
    assert len(draws["lam"][0].unique()) > 50


@pytest.mark.parametrize(
    "text", ["mixup[prob=0.3]", "cutmix[prob=0.3]", "remix[prob=0.3]", "mixed_thumbnail[prob=0.3]"]
)
def test_prob_is_the_share_of_mixed_batches(text):
    _, draws = draw(text, (2000, 2), seed=4, size=(32, 32))
    mixed = int((draws["lam"][:, 0] < 1).sum())
    assert stats.binomtest(mixed, 2000, 0.3).pvalue > 0.01


def test_cutmix_boxes_follow_the_reference_code():
    """Side int(W sqrt(1 - lam)), centre uniform, cut at the border: the same distribution of boxes by simulation."""
    rng = np.random.default_rng(0)
    count, length = 20_000, 8
    lam, cx, cy = rng.beta(1, 1, count), rng.integers(length, size=count), rng.integers(length, size=count)
    cut = (length * np.sqrt(1 - lam)).astype(int)
    boxes = [np.clip(c + s * (cut // 2), 0, length) for c, s in ((cy, -1), (cx, -1), (cy, 1), (cx, 1))]
    _, draws = draw("cutmix", (count, 1), seed=5)
    ours = draws["box"][:, 0].numpy()
    areas = (boxes[2] - boxes[0]) * (boxes[3] - boxes[1])
    mine = (ours[:, 2] - ours[:, 0]) * (ours[:, 3] - ours[:, 1])
    table = np.stack([np.bincount(a, minlength=65) for a in (areas, mine)])
    table = table[:, table.sum(0) > 20]
    assert stats.chi2_contingency(table).pvalue > 0.01
    for k in range(4):
        table = np.stack([np.bincount(a, minlength=9) for a in (boxes[k], ours[:, k])])
        assert stats.chi2_contingency(table[:, table.sum(0) > 0]).pvalue > 0.01
    torch.testing.assert_close(draws["lam"][:, 0], torch.from_numpy(1 - mine / 64).float())


@pytest.mark.parametrize(("text", "inside"), [("cut_thumbnail[prob=1]", True), ("cutout", False)])
def test_positions_are_uniform(text, inside):
    _, draws = draw(text, (9000, 1), seed=6)
    box = draws["box"][:, 0]
    if inside:  # wholly inside: 5 x 5 places of a thumbnail of 4 in 8
        assert (box[:, 2] - box[:, 0] == 4).all()
        assert (box[:, 3] - box[:, 1] == 4).all()
        cells = torch.bincount(box[:, 0] * 5 + box[:, 1], minlength=25)
        assert stats.chisquare(cells.numpy()).pvalue > 0.01
    else:  # centre anywhere, cut at the border: 8 intervals a side, each as likely
        cells = torch.unique(box, dim=0, return_counts=True)[1]
        assert len(cells) == 64
        assert stats.chisquare(cells.numpy()).pvalue > 0.01
        assert (box[:, 2] - box[:, 0] <= 4).all()


def test_cmo_draws_partners_with_inverse_frequency():
    _, draws = draw("cmo", (100, 80), seed=7)
    assert draws["partner"].max() < len(TARGETS)
    classes = torch.bincount(TARGETS[draws["partner"]].flatten(), minlength=4)
    assert stats.chisquare(classes.numpy()).pvalue > 0.01
    within = torch.bincount(draws["partner"].flatten(), minlength=142)[100:130]  # class 1
    assert stats.chisquare(within.numpy()).pvalue > 0.01
    _, plain = draw("cmo[power=0]", (100, 80), seed=8)
    assert stats.chisquare(torch.bincount(plain["partner"].flatten(), minlength=142).numpy()).pvalue > 0.01


def test_cmo_pauses_at_both_ends():
    made = mixing.create("cmo")
    assert [made.active(epoch, 10) for epoch in range(1, 11)] == [False] * 3 + [True] * 4 + [False] * 3
    for epoch, paused in ((3, True), (4, False), (7, False), (8, True)):
        _, draws = draw("cmo[prob=1]", (50, 2), epoch=epoch, epochs=10)
        assert draws["lam"].eq(1).all() == paused
        assert (draws["box"][..., 2] == draws["box"][..., 0]).all() == paused
    _, on = draw("cmo", (50, 2), epoch=5, epochs=10)
    _, off = draw("cmo", (50, 2), epoch=1, epochs=10)
    assert torch.equal(on["partner"], off["partner"])  # a pause takes the same random numbers


@pytest.mark.parametrize("text", mixing.names())
def test_the_same_seed_gives_the_same_draws(text):
    (_, first), (_, again), (_, other) = draw(text, (4, 6)), draw(text, (4, 6)), draw(text, (4, 6), seed=1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


# --- images ----------------------------------------------------------------------------------------------------------


def by_hand(text: str, x: torch.Tensor, partner: torch.Tensor | None, draws: dict[str, torch.Tensor]) -> torch.Tensor:
    """One image after the other, with slices."""
    result = []
    for i in range(len(x)):
        image = x[i].clone()
        if text.split("[")[0] in ("mixup", "remix"):
            lam = float(draws["lam"][i])
            result.append(lam * image + (1 - lam) * partner[i])
            continue
        top, left, bottom, right = draws["box"][i].tolist()
        if bottom > top and right > left:
            if text.startswith("cutout"):
                image[:, top:bottom, left:right] = 0
            elif "thumbnail" in text:
                source = x[i] if partner is None else partner[i]
                small = F.interpolate(source[None], (bottom - top, right - left))[0]
                image[:, top:bottom, left:right] = small
            else:
                image[:, top:bottom, left:right] = partner[i][:, top:bottom, left:right]
        result.append(image)
    return torch.stack(result)


TEXTS = [
    *ONE_VIEW,
    *("mixup[per_sample=true]", "cutmix[per_sample=true;alpha=0.5]", "cutout[scale=0.25]"),
    *("cut_thumbnail[per_sample=true;prob=0.5]", "mixed_thumbnail[scale=0.3;prob=1;per_sample=true]", "cmo[prob=1]"),
]


@pytest.mark.parametrize("size", [(8, 8), (9, 14), (32, 32)])
@pytest.mark.parametrize("text", TEXTS)
def test_apply_equals_the_loop_over_images(text, size):
    made, draws = draw(text, (5, 6), size=size)
    for s in range(5):
        x = images(6, size, seed=s)
        partner = None
        if made.partners == "batch":
            partner = x[draws["partner"][s]]
        elif made.partners == "dataset":
            partner = images(6, size, seed=100 + s)
        kept = x.clone()
        ours = made.apply(x, partner, step(draws, s))
        torch.testing.assert_close(ours, by_hand(text, x, partner, step(draws, s)), rtol=1e-6, atol=1e-6)
        if "mix" not in text or "thumbnail" in text:
            assert torch.equal(ours, by_hand(text, x, partner, step(draws, s)))
        assert torch.equal(x, kept)


@pytest.mark.parametrize("text", ONE_VIEW)
def test_lambda_one_and_an_empty_box_leave_images_and_labels_as_they_are(text):
    made = mixing.create(text)
    x, y = images(), torch.tensor([0, 1, 2, 3, 0, 1])
    draws = {"lam": torch.ones(6), "partner": torch.arange(6).flip(0), "box": torch.zeros(6, 4, dtype=torch.int64)}
    partner = None if made.partners == "none" else x[draws["partner"]]
    assert torch.equal(made.apply(x, partner, draws), x)
    assert torch.equal(made.label_share(draws["lam"], y, y.flip(0), COUNTS), torch.ones(6))


def test_channels_last_and_half_precision_are_kept():
    x = images().to(memory_format=torch.channels_last)
    for text in ONE_VIEW:
        made, draws = draw(text, (1, 6))
        partner = None if made.partners == "none" else x.flip(0)
        mixed = made.apply(x, partner, step(draws))
        assert mixed.is_contiguous(memory_format=torch.channels_last) or "thumbnail" in text
        assert (
            made.apply(x.bfloat16(), None if partner is None else partner.bfloat16(), step(draws)).dtype
            == torch.bfloat16
        )


def test_thumbnails_of_half_the_side_are_every_second_pixel():
    """32 pixels: what F.interpolate gives for a thumbnail of 16."""
    x = images(2, (32, 32))
    draws = {"box": torch.tensor([[0, 0, 16, 16], [16, 5, 32, 21]]), "lam": torch.ones(2)}
    ours = mixing.create("cut_thumbnail").apply(x, None, draws)
    assert torch.equal(ours[0, :, :16, :16], x[0, :, ::2, ::2])
    assert torch.equal(ours[1, :, 16:, 5:21], x[1, :, ::2, ::2])
    assert torch.equal(ours[0, :, 16:], x[0, :, 16:])


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ONE_VIEW)
def test_rows_of_label_weights_sum_to_one(text):
    made, draws = draw(text, (4, 6))
    y = torch.tensor([0, 3, 1, 1, 2, 0])
    for s in range(4):
        other = y if made.partners == "none" else y.flip(0)
        share = made.label_share(draws["lam"][s], y, other, COUNTS)
        weights = label_weights(y, other, share)
        assert weights.shape == (6, 4)
        torch.testing.assert_close(weights.sum(1), torch.ones(6))
        assert (weights >= 0).all()
        if made.partners == "none":
            assert torch.equal(weights, F.one_hot(y, 4).float())


def test_remix_relabels_as_its_equation():
    made = mixing.create("remix[kappa=3;tau=0.5]")
    for lam in (0.0, 0.2, 0.49, 0.5, 0.51, 0.8, 1.0):
        for i in range(4):
            for j in range(4):
                n_i, n_j = int(COUNTS[i]), int(COUNTS[j])
                expected = lam
                if n_i / n_j >= 3 and lam < 0.5:
                    expected = 0.0
                if n_i / n_j <= 1 / 3 and 1 - lam < 0.5:
                    expected = 1.0
                share = made.label_share(torch.tensor([lam]), torch.tensor([i]), torch.tensor([j]), COUNTS)
                assert float(share) == pytest.approx(expected)


def test_remix_shares_differ_within_a_batch():
    made = mixing.create("remix")
    share = made.label_share(torch.full((3,), 0.3), torch.tensor([0, 1, 3]), torch.tensor([3, 1, 0]), COUNTS)
    torch.testing.assert_close(share, torch.tensor([0.0, 0.3, 0.3]))
    with pytest.raises(SettingError, match="class counts"):
        made.label_share(torch.full((3,), 0.3), torch.tensor([0, 1, 3]), torch.tensor([3, 1, 0]))


def test_mixed_thumbnails_labels_are_three_quarters_and_one():
    _, draws = draw("mixed_thumbnail[per_sample=true]", (20, 50), seed=9)
    pasted = draws["box"][..., 2] > draws["box"][..., 0]
    assert torch.equal(draws["lam"], torch.where(pasted, 0.75, 1.0))
    assert stats.binomtest(int(pasted.sum()), 1000, 0.8).pvalue > 0.01


# --- torchvision -----------------------------------------------------------------------------------------------------


def rolled(count: int) -> torch.Tensor:
    """torchvision's partners: the neighbour."""
    return torch.arange(count).roll(1)


def test_mixup_equals_torchvisions_with_its_neighbour_as_partner():
    from torchvision.transforms import v2

    x, y = images(), torch.tensor([0, 3, 1, 1, 2, 0])
    theirs = v2.MixUp(alpha=0.4, num_classes=4)
    torch.manual_seed(0)
    params = theirs.make_params([x])
    torch.manual_seed(0)
    expected, labels = theirs(x, y)
    made, lam = mixing.create("mixup[alpha=0.4]"), torch.full((6,), params["lam"])
    torch.testing.assert_close(made.apply(x, x[rolled(6)], {"lam": lam}), expected)
    share = made.label_share(lam, y, y[rolled(6)])
    torch.testing.assert_close(label_weights(y, y[rolled(6)], share), labels)


@pytest.mark.parametrize("seed", range(5))
def test_cutmix_equals_torchvisions_with_its_neighbour_as_partner(seed):
    from torchvision.transforms import v2

    x, y = images(), torch.tensor([0, 3, 1, 1, 2, 0])
    theirs = v2.CutMix(alpha=1.0, num_classes=4)
    torch.manual_seed(seed)
    left, top, right, bottom = theirs.make_params([x])["box"]
    torch.manual_seed(seed)
    expected, labels = theirs(x, y)
    lam = torch.full((6,), 1 - (bottom - top) * (right - left) / 64)
    draws = {"lam": lam, "box": torch.tensor([[top, left, bottom, right]]).expand(6, 4)}
    made = mixing.create("cutmix")
    assert torch.equal(made.apply(x, x[rolled(6)], draws), expected)
    torch.testing.assert_close(label_weights(y, y[rolled(6)], made.label_share(lam, y, y)), labels)


# --- the step and bad input ------------------------------------------------------------------------------------------


class Watch(TorchDispatchMode):
    """Refuses what needs the data on the host, or has a shape that depends on it."""

    BLOCKING = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "unique",
        "bincount",
        "is_nonzero",
        "equal",
        "one_hot",
    )

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name.rstrip("_") not in self.BLOCKING, name
        if name.startswith("index"):
            flat = torch.utils._pytree.tree_leaves((args, kwargs))
            assert not any(isinstance(item, torch.Tensor) and item.dtype == torch.bool for item in flat), name
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("text", ONE_VIEW)
def test_nothing_waits_for_the_device(text):
    made, draws = draw(text, (1, 6))
    x, y, one = images(), torch.tensor([0, 3, 1, 1, 2, 0]), step(draws)
    with Watch():
        partner = None if made.partners == "none" else x.index_select(0, torch.arange(6).flip(0))
        made.apply(x, partner, one)
        made.label_share(one["lam"], y, y.flip(0), COUNTS)


def test_bad_settings_are_refused():
    with pytest.raises(UnknownName, match="cutmix"):
        mixing.create("cutmixx")
    for text in ("mixup[alpha=0]", "cutmix[prob=1.5]", "remix[kappa=0.5]", "cutout[scale=0]", "cut_thumbnail[scale=2]"):
        with pytest.raises(SettingError):
            mixing.create(text)
    with pytest.raises(SettingError, match="own_share"):
        mixing.create("mixed_thumbnail[own_share=2]")
    with pytest.raises(SettingError, match="targets"):
        mixing.create("cmo").draw(torch.Generator(), (1, 2), SIZE)

    class Elsewhere:
        device = torch.device("cuda")

    with pytest.raises(SettingError, match="CPU generator"):
        mixing.create("mixup").draw(Elsewhere(), (1, 2), SIZE)


def test_lambda_comes_from_one_uniform_number_at_every_alpha():
    """The same seed at another alpha: the same order of lambdas, and the same partners."""
    _, one = draw("mixup[alpha=1]", (50, 3))
    _, two = draw("mixup[alpha=0.2]", (50, 3))
    assert torch.equal(one["lam"][:, 0].argsort(), two["lam"][:, 0].argsort())
    assert torch.equal(one["partner"], two["partner"])
    assert math.isclose(float((two["lam"] > 0.5).float().mean()), float((one["lam"] > 0.5).float().mean()))


# --- to look at ------------------------------------------------------------------------------------------------------

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


def test_mixup_in_bytes_is_the_weighted_mean_of_the_pixels():
    own, other = np.random.default_rng(0).integers(0, 256, (2, 1, 8, 8, 3), dtype=np.uint8)
    made = look.mixed(mixing.create("mixup"), own, other, {"lam": torch.tensor([0.25])}, MEAN, STD)
    assert np.abs(made - (0.25 * own.astype(float) + 0.75 * other)).max() <= 0.501


def test_cutmix_in_bytes_keeps_the_share_of_pixels_it_says():
    kind = mixing.create("cutmix[per_sample=true]")
    black, white = np.zeros((8, 8, 8, 3), np.uint8), np.full((8, 8, 8, 3), 255, np.uint8)
    draws = look.draws_of(kind, 8, (8, 8), seed=3)
    made = look.mixed(kind, black, white, draws, MEAN, STD)
    assert (made == 0).mean((1, 2, 3)) == pytest.approx(draws["lam"].numpy())
