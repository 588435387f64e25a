"""Where losses meet: measured on a random batch, with the modules that train.

``limits.csv`` has each statement, a loss, and what it becomes; those that need inputs of their own are written here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ltlib import losses, published
from ltlib.plots.loss_curves import called
from ltlib.sections.class_counts import counts

if TYPE_CHECKING:
    import pandas as pd

COUNTS = counts("cifar10", 100)


def _listed() -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(Path(__file__).with_name("limits.csv"))


def _difference(left: Callable[..., Tensor], right: Callable[..., Tensor], x: Tensor, targets: Tensor) -> float:
    """Largest absolute difference of two losses' values and gradients."""
    values, gradients = [], []
    for loss in (left, right):
        own = x.clone().requires_grad_()
        values.append(loss(own, targets))
        gradients.append(torch.autograd.grad(values[-1], own)[0])
    return max(float((values[0] - values[1]).detach().abs()), float((gradients[0] - gradients[1]).abs().max()))


def limits(batch: int = 60, seed: int = 0) -> pd.DataFrame:
    """Each limit with the largest difference of values and gradients, float64, on a random batch."""
    import pandas as pd

    generator = torch.Generator().manual_seed(seed)
    z = 3 * torch.randn(batch, len(COUNTS), dtype=torch.float64, generator=generator)
    y = torch.randint(len(COUNTS), (batch,), generator=generator)
    even, equal = torch.arange(batch) % len(COUNTS), [500] * len(COUNTS)
    create = losses.create
    cosines, scaled = torch.tanh(z), create("ce", COUNTS)
    features = torch.randn(batch, 16, dtype=torch.float64, generator=generator)
    found = [
        (text, a, b, _difference(create(a, COUNTS), create(b, COUNTS), z, y))
        for text, a, b in _listed().itertuples(index=False, name=None)
    ]
    margin = _difference(create("ldam[max_margin=0]", COUNTS), lambda x, t: scaled(30 * x, t), cosines, y)
    found.append(("LDAM, margin 0, on cosines", "ldam[max_margin=0]", "ce of 30 times the cosines", margin))
    for how, name in (("weights", "loss_equalised"), ("loss sums", "loss_equalised[scope=loss]")):
        same = _difference(create(name, COUNTS), create("ce", COUNTS), z, even)
        found.append((f"loss equalisation of {how}, balanced batch", name, "ce", same))
    for name in ("prior_equalised", "balanced_softmax", "weighted_ce"):
        same = _difference(create(name, equal), create("ce", equal), z, y)
        found.append((f"{called(name)}, equal class counts", name, "ce", same))
    images = torch.arange(batch // 2).repeat(2)
    classes = y[: batch // 2].repeat(2)
    many = _difference(create("kcl[k=1000]", COUNTS), create("supcon[temperature=0.07]", COUNTS), features, classes)
    found.append(("KCL, k as large as the batch", "kcl[k=1000]", "supcon[temperature=0.07]", many))
    simclr = create("simclr[temperature=0.07]", COUNTS)
    none = _difference(create("kcl[k=0]", COUNTS), lambda x, _: simclr(x, images), features, classes)
    found.append(("KCL, k 0", "kcl[k=0]", "simclr[temperature=0.07]", none))
    rows = [
        [text, "yes" if gap < 1e-4 else "no", f"{gap:.1e}" if gap else "0", a.replace(";", "; "), b]
        for text, a, b, gap in found
    ]
    return pd.DataFrame(rows, columns=["limit", "the same", "largest difference", "loss", "becomes"])


def sentence(frame: pd.DataFrame) -> str:
    """How many of the limits are met, and which are not, from `limits`."""
    apart = list(frame.loc[frame["the same"] == "no", "limit"])
    met = f"{len(frame) - len(apart)} of {len(frame)} pairs are the same function"
    return f"{met}; apart: {', '.join(apart)}." if apart else f"{met}."


def printed_twins() -> str:
    """What `architectures` prints for losses that are one function on a balanced set."""
    rows = published.table("architectures", "5.1")
    cells = rows[(rows["train_set"] == "balanced") | rows["train_set"].eq("")]
    printed = cells[cells["split"] == "balanced"].set_index("method")["printed"]
    return (
        "On equal class counts softmax, weighted softmax, class-balanced and balanced softmax are one function. "
        f"architectures Table 5.1 (balanced training set) prints {printed['ce']}, {printed['weighted_ce']}, "
        f"{printed['class_balanced']} and {printed['balanced_softmax']}: the last differs, so it is another run or "
        "not the loss its name says."
    )
