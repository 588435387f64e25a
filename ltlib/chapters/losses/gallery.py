"""Pictures of the notebook ``02_losses``: what mixings and learnt augmentations make of real images.

All of it goes through the code that trains: `ltlib.mixing` on normalised images with its own draws,
`ltlib.batches.policies` on bytes. Where a profile's images are not on disk, the embedded digits stand in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltlib import mixing, plots
from ltlib.batches import augment, policies
from ltlib.chapters.long_tails import counts as long_tails
from ltlib.chapters.long_tails.counts import Story
from ltlib.mixing import Mixing
from ltlib.plots import Chart

LAMBDAS = (0.9, 0.7, 0.5, 0.3, 0.1)


def story(profile: str) -> Story:
    """The profile's images, or the digits of ``quick`` where they are not on disk."""
    found = long_tails.story(profile)
    return found if found.data is not None else long_tails.story("quick")


def sentence(profile: str, shown: Story) -> str:
    """Which images the gallery shows, and why."""
    if shown.profile == profile:
        return shown.sentence()
    return f"{shown.sentence()} They stand in here: {long_tails.story(profile).why_not()}."


# --- the machinery ---------------------------------------------------------------------------------------------------


def _images(shown: Story, classes: Sequence[int], seed: int = 0) -> tuple[np.ndarray, Tensor]:
    """A random training image of each of these classes: uint8 [N, H, W, 3] and int64 [N]."""
    assert shown.data is not None
    train, generator = shown.data.train, np.random.default_rng(seed)
    places = [int(generator.choice(np.flatnonzero(train.targets == c))) for c in classes]
    return train.images[places], torch.tensor(classes)


def _ends(shown: Story) -> tuple[int, int]:
    """The largest and the smallest class."""
    assert shown.data is not None
    counts = shown.data.train.class_counts
    return int(np.argmax(counts)), int(np.argmin(counts))


def _in_and_out(shown: Story, images: np.ndarray, change: Any) -> np.ndarray:
    """Normalise, change, take the normalisation back: uint8 [N, H, W, 3]."""
    assert shown.data is not None
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (shown.data.mean, shown.data.std))
    made = change((torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - mean) / std)
    bytes_ = ((made * std + mean) * 255).round().clamp(0, 255).byte()
    return bytes_.permute(0, 2, 3, 1).numpy()


def mix(shown: Story, kind: Mixing, own: np.ndarray, others: np.ndarray | None, draws: dict[str, Tensor]) -> np.ndarray:
    """Images as `kind` mixes them in training, uint8 [N, H, W, 3].

    Args:
        shown: Whose mean and standard deviation normalise.
        kind: The mixing.
        own: uint8 [N, H, W, 3].
        others: The partners, the same shape; None for a mixing without.
        draws: Of one step of N images.
    """
    count = len(own)
    both = own if others is None else np.concatenate([own, others])

    def change(x: Tensor) -> Tensor:
        return kind.apply(x[:count], None if others is None else x[count:], draws)

    return _in_and_out(shown, both, change)


def _draws(
    kind: Mixing, count: int, size: Sequence[int], seed: int, targets: Tensor | None = None
) -> dict[str, Tensor]:
    """Draws of one step in the middle of training."""
    generator = torch.Generator().manual_seed(seed)
    found = kind.draw(generator, (1, count), (size[0], size[1]), targets=targets, epoch=10, epochs=20)
    return {key: value[0] for key, value in found.items()}


def _shares(names: Sequence[str], share: float, own: int, other: int) -> str:
    """A label in words: ``70% cat`` over ``30% truck``."""
    parts = [(share, own), (1 - share, other)]
    return "\n".join(f"{value:.0%} {_name(names[c])}" for value, c in parts if value > 0.005)


def _name(name: str) -> str:
    """A class's name; a digit is quoted."""
    return f"\u201c{name}\u201d" if name.isdigit() else name


def _row(images: Any, titles: Sequence[str], alt: str) -> Chart:
    return plots.images.show_images(images, titles, columns=len(titles), alt=alt)


# --- two images and what is made of them -----------------------------------------------------------------------------


def mixup(shown: Story) -> Chart:
    """An image of the head, one of the tail, and their mixtures."""
    head, tail = _ends(shown)
    (a, b), _ = _images(shown, (head, tail), seed=4)
    lam = torch.tensor(LAMBDAS)
    own, other = (np.repeat(image[None], len(lam), axis=0) for image in (a, b))
    made = mix(shown, mixing.create("mixup"), own, other, {"lam": lam})
    names = shown.data.class_names  # type: ignore[union-attr]
    titles = [_name(names[head]), _name(names[tail]), *(_shares(names, value, head, tail) for value in LAMBDAS)]
    alt = f"An image of {names[head]}, one of {names[tail]}, and mixup of both with lambda {_list(LAMBDAS)}."
    return _row(np.concatenate([a[None], b[None], made]), titles, alt)


def cutmix(shown: Story, number: int = 5) -> Chart:
    """The same two images: rectangles of the second pasted into the first, labels by area."""
    head, tail = _ends(shown)
    (a, b), _ = _images(shown, (head, tail), seed=4)
    kind = mixing.create("cutmix[per_sample=true]")
    draws = _draws(kind, 40, a.shape[:2], seed=1)
    order = draws["lam"].argsort(descending=True)
    order = order[(draws["lam"][order] < 0.9) & (draws["lam"][order] > 0.15)]  # both images show
    keep = order[torch.linspace(0, len(order) - 1, number).long()]
    draws = {key: value[keep] for key, value in draws.items()}
    own, other = (np.repeat(image[None], number, axis=0) for image in (a, b))
    names, left = shown.data.class_names, draws["lam"].tolist()  # type: ignore[union-attr]
    titles = [_name(names[head]), _name(names[tail]), *(_shares(names, share, head, tail) for share in left)]
    alt = f"CutMix of {names[head]} and {names[tail]}; the first keeps {_list(left)} of its pixels and of its label."
    return _row(np.concatenate([a[None], b[None], mix(shown, kind, own, other, draws)]), titles, alt)


def remix(shown: Story) -> Chart:
    """Mixup's images with the labels of Remix: the rarer class takes all where lambda is small."""
    head, tail = _ends(shown)
    (a, b), _ = _images(shown, (head, tail), seed=4)
    kind, lam = mixing.create("remix"), torch.tensor(LAMBDAS)
    own, other = (np.repeat(image[None], len(lam), axis=0) for image in (a, b))
    counts = torch.tensor(shown.data.train.class_counts)  # type: ignore[union-attr]
    first, second = torch.full((len(lam),), head), torch.full((len(lam),), tail)
    share = kind.label_share(lam, first, second, counts).tolist()
    names = shown.data.class_names  # type: ignore[union-attr]
    titles = [f"pixels {value:.1f}\n{_shares(names, s, head, tail)}" for value, s in zip(LAMBDAS, share, strict=True)]
    alt = (
        f"Mixtures of {names[head]} ({counts[head]} images) and {names[tail]} ({counts[tail]}) at lambda "
        f"{_list(LAMBDAS)}; the label's share of {names[head]} is {_list(share)}."
    )
    return _row(mix(shown, kind, own, other, {"lam": lam}), titles, alt)


# --- one image -------------------------------------------------------------------------------------------------------


def single(shown: Story, parts: Sequence[str], number: int = 7) -> Chart:
    """An image of the head and what a mixing without partner, or an augmentation, makes of it.

    Args:
        shown: The images.
        parts: Names of mixings (``cutout``) or texts of augmentations (``cutout4``, ``autoaugment``), a row each.
        number: Views in a row.
    """
    head, _ = _ends(shown)
    image = _images(shown, (head,), seed=4)[0]
    own = np.repeat(image, number, axis=0)
    made = []
    for part in parts:
        if part.partition("[")[0] in mixing.names():
            kind = mixing.create(part)
            made.append(mix(shown, kind, own, None, _draws(kind, number, own.shape[1:3], seed=2)))
        else:
            made.append(_augmented(part, own))
    titles = [part.partition("[")[0].replace("_", " ") for part in parts]
    return plots.images.augmented_images(np.repeat(image, len(parts), axis=0), np.stack(made), names=titles)


def _augmented(text: str, images: np.ndarray, seed: int = 5) -> np.ndarray:
    kind = augment.create(text)
    draws = kind.draw(torch.Generator().manual_seed(seed), (len(images),))
    made = torch.from_numpy(images)
    for name in policies.DRAWS if kind.policy else ():
        made = policies.apply(made, draws[name])
    if kind.hole:
        made = augment.cutout(made, draws["hole_y"], draws["hole_x"], draws["hole_side"])
    return made.numpy()


def cutouts(shown: Story) -> Chart:
    """CutOut in both forms: the mean colour after normalising, black before."""
    return single(shown, ("cutout", f"cutout{_even(shown)}"))


def thumbnails(shown: Story) -> Chart:
    """Cut-Thumbnail: the image itself, smaller, pasted into it."""
    return single(shown, ("cut_thumbnail[per_sample=true;prob=1.0]",))


def learnt(shown: Story) -> Chart:
    """AutoAugment's policy for CIFAR-10, and RandAugment at two strengths."""
    return single(shown, ("autoaugment", "randaugment9", "randaugment20"))


def _even(shown: Story) -> int:
    assert shown.data is not None
    return 2 * (shown.data.image_size // 4)


# --- minority oversampling -------------------------------------------------------------------------------------------


def _cmo(shown: Story, number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, dict[str, Tensor], np.ndarray]:
    """Backgrounds, partners, draws and numbers of the backgrounds, of one CMO batch."""
    assert shown.data is not None
    train = shown.data.train
    kind = mixing.create("cmo[prob=1.0]")
    order = np.random.default_rng(seed).permutation(len(train))
    order = np.resize(order, number)
    draws = _draws(kind, number, train.images.shape[1:3], seed, torch.from_numpy(train.targets))
    return train.images[order], train.images[draws["partner"].numpy()], draws, order


def cmo(shown: Story, number: int = 7) -> Chart:
    """Backgrounds as they come, what is pasted, and the result: the pasted images are mostly of rare classes."""
    assert shown.data is not None
    targets, names = shown.data.train.targets, shown.data.class_names
    for seed in range(100):  # one box serves the batch, as in the reference code: wait for one that shows
        own, others, draws, order = _cmo(shown, number, seed)
        if 0.4 < float(draws["lam"][0]) < 0.7:
            break
    made = mix(shown, mixing.create("cmo[prob=1.0]"), own, others, draws)
    share = draws["lam"].tolist()
    partner = targets[draws["partner"].numpy()]
    labels = [_shares(names, s, int(a), int(b)) for s, a, b in zip(share, targets[order], partner, strict=True)]
    titles = [*(_name(names[c]) for c in [*targets[order], *partner]), *labels]
    alt = (
        f"{number} training images ({', '.join(names[c] for c in targets[order])}), under each the image drawn for "
        f"pasting ({', '.join(names[c] for c in partner)}), and CMO of both with a label share of {share[0]:.2f}."
    )
    stack = np.concatenate([own, others, made])
    return plots.images.show_images(stack, titles, columns=number, alt=alt)


def cmo_sentence(shown: Story, number: int = 2000) -> str:
    """How often the rarest class is pasted, and how often it comes as a background."""
    assert shown.data is not None
    targets, (_, tail) = shown.data.train.targets, _ends(shown)
    *_, draws, _ = _cmo(shown, number)
    pasted = float((targets[draws["partner"].numpy()] == tail).mean())
    own = float((targets == tail).mean())
    return (
        f"Of {number:,} pasted images {pasted:.1%} are of class {shown.data.class_names[tail]}, the rarest, which has "
        f"{own:.1%} of the training images: it is pasted into other classes' pictures, the same few images each time."
    )


def show(page: Any, shown: Story, which: Sequence[str] | None = None) -> None:
    """The gallery, or some of it by number, each figure with its caption."""
    for number, chart, caption in _gallery(shown):
        if which is None or number in which:
            page.figure(number, chart, caption=caption, runs=[])


def _gallery(shown: Story) -> Iterator[tuple[str, Chart, str]]:
    yield (
        "awabs/2.4",
        mixup(shown),
        "Mixup of an image of the head and one of the tail, with the label of each mixture.",
    )
    yield "Remix", remix(shown), "The same mixtures; Remix gives the label to the rarer class where it has most pixels."
    yield "awabs/2.5", cutouts(shown), "CutOut: mean colour after normalising (first row), black before (second row)."
    yield "awabs/2.6", cutmix(shown), "CutMix: the label's share is the share of pixels that are left."
    yield "awabs/2.7", thumbnails(shown), "Cut-Thumbnail: the image, at half its size, pasted into itself; label kept."
    yield "awabs/2.8", cmo(shown), "CMO: training images, the image drawn for each, and both with the label's shares."
    yield "Learnt policies", learnt(shown), "AutoAugment (CIFAR-10's policy) and RandAugment: two operations each."


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}".rstrip("0").rstrip(".") for value in values)
