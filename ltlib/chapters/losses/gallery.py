"""Pictures of what mixings and learnt augmentations make of real images.

All of it goes through the code that trains: `ltlib.mixing` on normalised images with its own draws,
`ltlib.batches.policies` on bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ltlib import mixing, plots
from ltlib.batches.views import views
from ltlib.mixing import look
from ltlib.plots import Chart

if TYPE_CHECKING:
    from ltlib.datasets.images import LongTailed
    from ltlib.mixing import Mixing


# --- the machinery ---------------------------------------------------------------------------------------------------


def images_of(data: LongTailed, classes: Sequence[int], seed: int = 4) -> np.ndarray:
    """A random training image of each of these classes, uint8 [N, H, W, 3]."""
    generator = np.random.default_rng(seed)
    return data.train.images[[int(generator.choice(np.flatnonzero(data.train.targets == c))) for c in classes]]


def _ends(data: LongTailed) -> tuple[int, int]:
    """The largest and the smallest class."""
    counts = data.train.class_counts
    return int(np.argmax(counts)), int(np.argmin(counts))


def _shares(names: Sequence[str], share: float, own: int, other: int) -> str:
    """A label in words: ``70% cat`` over ``30% truck``."""
    parts = [(share, own), (1 - share, other)]
    return "\n".join(f"{value:.0%} {_name(names[c])}" for value, c in parts if value > 0.005)


def _name(name: str) -> str:
    """A class's name; a digit is quoted."""
    return f"\u201c{name}\u201d" if name.isdigit() else name


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}".rstrip("0").rstrip(".") for value in values)


# --- two images and what is made of them -----------------------------------------------------------------------------


def _pair(data: LongTailed, kind: Mixing, draws: dict[str, Tensor]) -> tuple[np.ndarray, ...]:
    """An image of the head and one of the tail [2, H, W, 3], and what a mixing makes of them [N, H, W, 3]."""
    both = images_of(data, _ends(data))
    own, other = (np.repeat(image[None], len(draws["lam"]), axis=0) for image in both)
    return both, look.mixed(kind, own, other, draws, data.mean, data.std)


def _with_ends(data: LongTailed, both: np.ndarray, made: np.ndarray, shares: Sequence[float], alt: str) -> Chart:
    """The two images, then the mixtures with their labels."""
    head, tail = _ends(data)
    names = data.class_names
    titles = [_name(names[head]), _name(names[tail]), *(_shares(names, share, head, tail) for share in shares)]
    return plots.images.show_images(np.concatenate([both, made]), titles, columns=len(titles), alt=alt)


def mixup(data: LongTailed, lambdas: Sequence[float]) -> Chart:
    """An image of the head, one of the tail, and their mixtures."""
    both, made = _pair(data, mixing.create("mixup"), {"lam": torch.tensor(lambdas)})
    head, tail = (data.class_names[c] for c in _ends(data))
    alt = f"An image of {head}, one of {tail}, and mixup of both with lambda {_list(lambdas)}."
    return _with_ends(data, both, made, lambdas, alt)


def cutmix(data: LongTailed, number: int = 5) -> Chart:
    """The same two images: rectangles of the second pasted into the first, labels by area."""
    kind = mixing.create("cutmix[per_sample=true]")
    draws = look.draws_of(kind, 40, data.train.images.shape[1:3], seed=1)
    order = draws["lam"].argsort(descending=True)
    order = order[(draws["lam"][order] < 0.9) & (draws["lam"][order] > 0.15)]  # both images show
    keep = order[torch.linspace(0, len(order) - 1, number).long()]
    draws = {key: value[keep] for key, value in draws.items()}
    left = draws["lam"].tolist()
    both, made = _pair(data, kind, draws)
    head, tail = (data.class_names[c] for c in _ends(data))
    alt = f"CutMix of {head} and {tail}; the first keeps {_list(left)} of its pixels and of its label."
    return _with_ends(data, both, made, left, alt)


def remix(data: LongTailed, lambdas: Sequence[float]) -> Chart:
    """Mixup's images with the labels of Remix: the rarer class takes all where lambda is small."""
    kind, lam, (head, tail) = mixing.create("remix"), torch.tensor(lambdas), _ends(data)
    _, made = _pair(data, kind, {"lam": lam})
    counts, names = torch.tensor(data.train.class_counts), data.class_names
    first, second = torch.full((len(lam),), head), torch.full((len(lam),), tail)
    share = kind.label_share(lam, first, second, counts).tolist()
    titles = [f"pixels {value:.1f}\n{_shares(names, s, head, tail)}" for value, s in zip(lambdas, share, strict=True)]
    alt = (
        f"Mixtures of {names[head]} ({counts[head]} images) and {names[tail]} ({counts[tail]}) at lambda "
        f"{_list(lambdas)}; the label's share of {names[head]} is {_list(share)}."
    )
    return plots.images.show_images(made, titles, columns=len(titles), alt=alt)


# --- one image -------------------------------------------------------------------------------------------------------


def single(data: LongTailed, parts: Sequence[str], number: int = 7) -> Chart:
    """An image of the head and what a mixing without partner, or an augmentation, makes of it.

    Args:
        data: The images.
        parts: Names of mixings (``cutout``) or texts of augmentations (``cutout4``, ``autoaugment``), a row each.
        number: Views in a row.
    """
    image = images_of(data, _ends(data)[:1])
    own, made = np.repeat(image, number, axis=0), []
    for part in parts:
        if part.partition("[")[0] in mixing.names():
            kind = mixing.create(part)
            draws = look.draws_of(kind, number, own.shape[1:3], seed=2)
            made.append(look.mixed(kind, own, None, draws, data.mean, data.std))
        else:
            made.append(views(part, image, number, seed=5)[0])
    titles = [part.partition("[")[0].replace("_", " ") for part in parts]
    return plots.images.augmented_images(np.repeat(image, len(parts), axis=0), np.stack(made), names=titles)


# --- minority oversampling -------------------------------------------------------------------------------------------


def cmo_batch(
    data: LongTailed, number: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, dict[str, Tensor], np.ndarray]:
    """Backgrounds, partners, draws and numbers of the backgrounds, of one CMO batch."""
    train, kind = data.train, mixing.create("cmo[prob=1.0]")
    order = np.resize(np.random.default_rng(seed).permutation(len(train)), number)
    draws = look.draws_of(kind, number, train.images.shape[1:3], seed, torch.from_numpy(train.targets))
    return train.images[order], train.images[draws["partner"].numpy()], draws, order


def cmo(data: LongTailed, number: int = 7) -> Chart:
    """Backgrounds as they come, what is pasted, and the result: the pasted images are mostly of rare classes."""
    targets, names = data.train.targets, data.class_names
    for seed in range(100):  # one box serves the batch, as in the reference code: wait for one that shows
        own, others, draws, order = cmo_batch(data, number, seed)
        if 0.4 < float(draws["lam"][0]) < 0.7:
            break
    made = look.mixed(mixing.create("cmo[prob=1.0]"), own, others, draws, data.mean, data.std)
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


def cmo_sentence(data: LongTailed, number: int = 2000) -> str:
    """How often the rarest class is pasted, and how often it comes as a background."""
    targets, (_, tail) = data.train.targets, _ends(data)
    *_, draws, _ = cmo_batch(data, number)
    pasted = float((targets[draws["partner"].numpy()] == tail).mean())
    own = float((targets == tail).mean())
    return (
        f"Of {number:,} pasted images {pasted:.1%} are of class {data.class_names[tail]}, the rarest, which has "
        f"{own:.1%} of the training images: it is pasted into other classes' pictures, the same few images each time."
    )
