"""Logic of the notebook ``02_losses``: curves, first gradients, shares of a batch, limits, and who defines what how.

Losses are named by their texts and measured, never re-derived: whatever a figure or a table says of a loss is what its
module computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib import datasets, losses, published
from ltlib.chapters.long_tails import Story
from ltlib.plots import alt
from ltlib.plots import losses as drawn
from ltlib.plots.style import DOUBLE, Chart, chart, label, light_grid, method_looks, styled

if TYPE_CHECKING:
    import pandas as pd

COUNTS = tuple(datasets.long_tailed_counts(5000, 10, 100))
"""CIFAR-10 at imbalance factor 100: the class counts of the curves."""
GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "confidence": ("ce", "focal[gamma=2]", "cefl", "cefl2", "ohem", "bce", "focal_sigmoid"),
    "weights": (
        *("ce", "weighted_ce[reduction=batch_size]", "class_balanced[beta=0.999]", "prior_equalised"),
        *("loss_equalised", "deferred"),
    ),
    "priors and margins": (
        *("ce", "balanced_softmax", "logit_adjustment[tau=0.5]", "vs", "lade", "ldam[scale=1]"),
        *("ldam_drw[scale=1]", "equalization"),
    ),
    "labels": ("ce", "label_smoothing", "label_aware_smoothing", "awabs"),
}
"""Every classification loss, beside cross-entropy."""
_POINTS = 99


# --- curves ----------------------------------------------------------------------------------------------------------


@cache
def _curve(name: str, counts: tuple[int, ...], target: int) -> dict[str, list[float]]:
    """A loss over p; a deferred one after its switch, with its class's weight and the plain mean."""
    module = losses.create(name, counts)
    if not isinstance(module, losses.Deferred):
        return drawn.curve(name, counts, target, _POINTS)
    base = drawn.curve(name.replace("deferred", "ce").replace("ldam_drw", "ldam"), counts, target, _POINTS)
    module.set_epoch(1, 1)  # the only epoch lies after four fifths of the stage
    weight = float(module.weights[target])
    return {key: values if key == "probability" else [weight * v for v in values] for key, values in base.items()}


@styled
def panels(
    names: Sequence[str],
    rows: Sequence[str] = ("loss", "gradient"),
    counts: Sequence[int] = COUNTS,
    targets: Sequence[int] = (0, -1),
    most: Mapping[str, float] | None = None,
) -> Chart:
    """Losses over the true class's probability: a row for each quantity, a column for each true class.

    Args:
        names: Texts of losses.
        rows: Of ``loss``, ``gradient``, ``factor``.
        counts: Training images per class.
        targets: True classes, negative ones from the end; with one of them the quantities stand side by side.
        most: Upper ends of the vertical axes, by quantity.
    """
    counts, flat = tuple(counts), len(targets) == 1
    shape = (1, len(rows)) if flat else (len(rows), len(targets))
    fig = chart(DOUBLE, 0.6 + 2.1 * shape[0])
    grid = fig.subplots(*shape, squeeze=False, sharex=True, sharey=False if flat else "row")
    looks, said = method_looks(list(names)), []
    data: dict[str, list[Any]] = {"loss name": [], "true class": [], "probability": [], **{row: [] for row in rows}}
    for j, target in enumerate(target % len(counts) for target in targets):
        curves = {name: _curve(name, counts, target) for name in names}
        for i, row in enumerate(rows):
            axes = grid[0][i] if flat else grid[i][j]
            for name, look in looks.items():
                axes.plot(curves[name]["probability"], curves[name][row], label=label(name), **look.line(_POINTS))
            axes.set(xlim=(0, 1), ylim=(0, (most or {}).get(row)))
            light_grid(axes)
            if flat or j == 0:
                axes.set_ylabel(_NAMES[row])
            if flat or i == len(rows) - 1:
                axes.set_xlabel("Probability of the true class")
        if not flat:
            grid[0][j].set_title(f"True class of {counts[target]:,} images")
        for name, found in curves.items():
            at = [found[rows[0]][round(p * (_POINTS + 1)) - 1] for p in (0.1, 0.9)]
            where = "" if flat else f" at {counts[target]:,} images"
            said.append(f"{label(name)}{where} {alt.number(at[0])} and {alt.number(at[1])}")
            data["loss name"] += [name] * _POINTS
            data["true class"] += [target] * _POINTS
            data["probability"] += found["probability"]
            for row in rows:
                data[row] += found[row]
    fig.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    fig.alt = f"{_NAMES[rows[0]]} at probability 0.1 and 0.9 of the true class: {'; '.join(said)}."
    fig.data = dict(data)
    return fig


_NAMES = {"loss": "Loss", "gradient": "Gradient by the true logit", "factor": "Loss over cross-entropy"}


def family(name: str) -> Chart:
    """The curves of one family: by head and tail where class counts matter."""
    if name == "confidence":  # two classes: the one-against-all losses then read the same p
        return panels(FAMILIES[name], counts=(1, 1), targets=(0,), most={"loss": 5})
    return panels(FAMILIES[name], most={"loss": 8} if name != "weights" else None)


def focal_by_gamma(rows: Sequence[str] = ("loss",)) -> Chart:
    """Focal loss over p for several gamma."""
    return panels([f"focal[gamma={g:g}]" for g in GAMMAS], rows, counts=(1, 1), targets=(0,), most={"loss": 5})


def explore(
    loss: str = "balanced_softmax", imbalance_factor: float = 100, classes: int = 10, quantity: str = "loss"
) -> Chart:
    """One loss beside cross-entropy for the largest and the smallest class, at one setting of the sliders."""
    counts = datasets.long_tailed_counts(5000, int(classes), imbalance_factor)
    return panels(list(dict.fromkeys(["ce", loss])), (quantity,), counts)


def classification() -> list[str]:
    """Names of the registered losses that read logits."""
    return [entry.name for entry in losses.LOSSES if not getattr(entry.factory, "contrastive", False)]


def loss_table() -> pd.DataFrame:
    """Every registered loss: what it is, settings with their defaults, source, module."""
    import pandas as pd

    rows = []
    for entry in losses.LOSSES:
        settings = ", ".join(f"{key} {_word(value)}" for key, value in entry.defaults.items())
        reads = "features" if getattr(entry.factory, "contrastive", False) else "logits"
        module = entry.factory.__module__.removeprefix("ltlib.")
        rows.append([entry.name, reads, entry.summary.replace("`", ""), settings or "none", entry.source, module])
    return pd.DataFrame(rows, columns=["loss", "reads", "what it is", "settings", "source", "module"])


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


# --- what training does first ----------------------------------------------------------------------------------------

PUSHES = ("ce", "focal[gamma=2]", "class_balanced", "balanced_softmax", "ldam[scale=1]", "equalization[threshold=0.05]")


def first_push(loss: str, counts: Sequence[int] = COUNTS) -> list[float]:
    """Minus the gradient of the training set's mean loss by each class's logit where all logits are 0, [K].

    Positive: the first step raises the class everywhere.
    """
    module, classes = losses.create(loss, counts), len(counts)
    targets = torch.repeat_interleave(torch.arange(classes), torch.tensor(counts))
    logits = torch.zeros(len(targets), classes, dtype=torch.float64, requires_grad=True)
    noise = (torch.rand(logits.shape, generator=torch.Generator().manual_seed(0)),) if module.noise else ()
    (gradient,) = torch.autograd.grad(module(logits, targets, *noise), logits)
    return (-gradient.sum(0)).tolist()


@styled
def pushes(names: Sequence[str] = PUSHES, counts: Sequence[int] = COUNTS) -> Chart:
    """`first_push` of several losses over the classes."""
    found = {name: first_push(name, counts) for name in names}
    fig = chart(DOUBLE * 0.9, 2.9)
    axes = fig.add_subplot()
    for name, look in method_looks(list(names)).items():
        axes.plot(range(len(counts)), found[name], label=label(name), **look.line(len(counts)))
    axes.axhline(0, color="#5F5F5F", linewidth=0.7)
    axes.set(xlabel="Class, the largest first", ylabel="First push on the class's logit")
    axes.set_xticks(range(len(counts)), [f"{c}\n{n:,}" for c, n in enumerate(counts)])
    light_grid(axes)
    fig.legend(loc="outside right upper", alignment="left")
    ends = [f"{label(n)} {alt.number(v[0])} and {alt.number(v[-1])}" for n, v in found.items()]
    fig.alt = f"First push on the logit of the largest and of the smallest class: {'; '.join(ends)}."
    fig.data = {
        "loss name": [name for name in names for _ in counts],
        "class": [*range(len(counts))] * len(names),
        "push": [value for values in found.values() for value in values],
    }
    return fig


# --- a mini-batch ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MiniBatch:
    """Logits of a linear classifier on real images.

    Attributes:
        logits: float64 [B, K].
        targets: int64 [B].
        class_counts: Of the training set.
    """

    logits: np.ndarray
    targets: np.ndarray
    class_counts: tuple[int, ...]

    def shares(self, loss: str, trained: bool = True) -> list[float]:
        """Each class's share of the batch's loss, [K]; untrained, all logits are 0."""
        return drawn.shares(loss, self.logits if trained else 0 * self.logits, self.targets, self.class_counts)

    def images(self) -> list[int]:
        """Images of each class in the batch."""
        return np.bincount(self.targets, minlength=len(self.class_counts)).tolist()


def mini_batch(story: Story, size: int = 64, steps: int = 60, seed: int = 0) -> MiniBatch:
    """A random batch under a linear classifier of its pixels, trained by cross-entropy on the long-tailed images."""
    assert story.data is not None
    train = story.data.train
    images, y = datasets.random_batch(train, 2000, seed=seed)
    pixels = torch.from_numpy(images.reshape(len(images), -1)).float() / 255
    pixels = (pixels - pixels.mean(0)) / pixels.std()
    targets, classes = torch.from_numpy(y), len(train.class_counts)
    weight = torch.zeros(pixels.shape[1], classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(pixels @ weight + bias, targets).backward()
        optimizer.step()
    logits = (pixels[:size] @ weight + bias).detach().double().numpy()
    return MiniBatch(logits, y[:size], tuple(train.class_counts))


def balance(batch: MiniBatch) -> Chart:
    """Figure 1 of `loss_balance`: cross-entropy at the start and later, then what evens it out."""
    names = {
        "CE, untrained": ("ce", False),
        "CE": ("ce", True),
        "PE: training set": ("prior_equalised", True),
        "LE: this batch": ("loss_equalised", True),
        "LE: scope=loss": ("loss_equalised[scope=loss]", True),
    }
    return drawn.batch_shares({key: batch.shares(*value) for key, value in names.items()}, batch.images())


def all_shares(batch: MiniBatch) -> Chart:
    """The same batch under every loss that reads logits."""
    names = {name: f"{name}[scale=1.0]" if name.startswith("ldam") else name for name in classification()}
    return drawn.batch_shares({key: batch.shares(text) for key, text in names.items()}, batch.images())


def balance_sentence(batch: MiniBatch) -> str:
    """How uneven the batch's cross-entropy is."""
    n, ce = np.array(batch.images()), np.array(batch.shares("ce"))
    head, tail, present = int(n.argmax()), np.array(batch.class_counts) <= np.median(batch.class_counts), int((n > 0).sum())
    return (
        f"Of {n.sum()} images {n[head]} are of class {head}, {present} of {len(n)} classes are there at all. The smaller "
        f"half of the classes has {n[tail].sum() / n.sum():.0%} of the images and, after some training, "
        f"{ce[tail].sum():.0%} of the cross-entropy: an image of a rare class has a large loss because the classifier "
        f"has learnt to say the others. Equalising by the batch gives each of the {present} classes there the same "
        "weight, not the same loss; scope=loss gives the same loss."
    )


# --- limits ----------------------------------------------------------------------------------------------------------


def _difference(left: Callable[..., Tensor], right: Callable[..., Tensor], x: Tensor, targets: Tensor) -> float:
    """Largest absolute difference of two losses' values and gradients."""
    values, gradients = [], []
    for loss in (left, right):
        own = x.clone().requires_grad_()
        values.append(loss(own, targets))
        gradients.append(torch.autograd.grad(values[-1], own)[0])
    return max(float((values[0] - values[1]).abs()), float((gradients[0] - gradients[1]).abs().max()))


LIMITS = (
    ("focal, gamma 0", "focal[gamma=0]", "ce"),
    ("focal, gamma 0.000001", "focal[gamma=0.000001]", "ce"),
    ("CEFL, gamma 0", "cefl[gamma=0]", "ce"),
    ("CEFL2, gamma 0", "cefl2[gamma=0]", "ce"),
    ("sigmoid focal, gamma 0", "focal_sigmoid[gamma=0]", "bce"),
    ("class-balanced, beta 0", "class_balanced[beta=0]", "ce"),
    ("class-balanced, beta 0.00001", "class_balanced[beta=0.00001]", "ce"),
    ("class-balanced, beta 0.999999999", "class_balanced[beta=0.999999999]", "weighted_ce[reduction=batch_size]"),
    ("balanced softmax", "balanced_softmax", "logit_adjustment[tau=1]"),
    ("logit adjustment, tau 0", "logit_adjustment[tau=0]", "ce"),
    ("VS, gamma 0", "vs[gamma=0]", "logit_adjustment[tau=1]"),
    ("LADE, alpha 0", "lade[alpha=0]", "logit_adjustment[tau=1]"),
    ("equalization, threshold 0", "equalization[threshold=0]", "ce"),
    ("label-aware smoothing, equal epsilons", "las[epsilon_head=0.1;epsilon_tail=0.1;spread=all]", "label_smoothing"),
    ("AWABS, epsilons 0", "awabs[epsilon_head=0;epsilon_tail=0]", "balanced_softmax"),
    ("OHEM, keep all", "ohem[keep=1]", "ce"),
    ("deferred, before its switch", "deferred", "ce"),
)
"""Statement, a loss, and what it becomes; on a random batch with the class counts of the curves."""


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
    found = [(text, a, b, _difference(create(a, COUNTS), create(b, COUNTS), z, y)) for text, a, b in LIMITS]
    margin = _difference(create("ldam[max_margin=0]", COUNTS), lambda x, t: scaled(30 * x, t), cosines, y)
    found.append(("LDAM, margin 0, on cosines", "ldam[max_margin=0]", "ce of 30 times the cosines", margin))
    for name in ("loss_equalised", "loss_equalised[scope=loss]"):
        same = _difference(create(name, COUNTS), create("ce", COUNTS), z, even)
        found.append(("loss equalisation, balanced batch", name, "ce", same))
    for name in ("prior_equalised", "balanced_softmax", "weighted_ce"):
        same = _difference(create(name, equal), create("ce", equal), z, y)
        found.append((f"{label(name)}, equal class counts", name, "ce", same))
    images = torch.arange(batch // 2).repeat(2)
    classes = y[: batch // 2].repeat(2)
    many = _difference(create("kcl[k=1000]", COUNTS), create("supcon[temperature=0.07]", COUNTS), features, classes)
    found.append(("KCL, k as large as the batch", "kcl[k=1000]", "supcon[temperature=0.07]", many))
    simclr = create("simclr[temperature=0.07]", COUNTS)
    none = _difference(create("kcl[k=0]", COUNTS), lambda x, _: simclr(x, images), features, classes)
    found.append(("KCL, k 0", "kcl[k=0]", "simclr[temperature=0.07]", none))
    rows = [[text, a, b, f"{gap:.1e}" if gap else "0", "yes" if gap < 1e-4 else "no"] for text, a, b, gap in found]
    return pd.DataFrame(rows, columns=["limit", "loss", "becomes", "largest difference", "the same"])


def printed_twins() -> str:
    """What `architectures` prints for losses that are one function on a balanced set."""
    rows = published.table("architectures", "5.1")
    cells = rows[(rows["train_set"] == "balanced") | rows["train_set"].eq("")]
    cells = cells[cells["split"] == "balanced"].set_index("method")["printed"]
    return (
        "On equal class counts softmax, weighted softmax, class-balanced and balanced softmax are one function. "
        f"architectures Table 5.1 (balanced training set) prints {cells['ce']}, {cells['weighted_ce']}, "
        f"{cells['class_balanced']} and {cells['balanced_softmax']}: the last differs, so it is another run or not the "
        "loss its name says."
    )


# --- who defines what how --------------------------------------------------------------------------------------------

DIFFERENCES = (
    (
        "focal",
        "p is the sigmoid of one detector's output (Lin et al.)",
        "LDAM-DRW computes p from the already weighted loss, so p is no probability",
        "convergent's code has alpha proportional to 1 / n_c with sum 1, a loss about K times smaller; its text says "
        "only 'a scalar or vector'. awabs prints the gradient with (p - 1)^gamma",
        "softmax over the classes, p the network's own; alpha none, a number, per class, or inverse_frequency",
    ),
    (
        "class_balanced",
        "weights made to sum to K (Cui et al.)",
        "the same; a common PyTorch port puts binary cross-entropy on softmax outputs under the name softmax",
        "awabs prints the weights without a common factor, 1e-4 to 1e-2 on CIFAR at beta 0.9999",
        "sum K by default, normalise=none for the bare ones; batch_size is what the sum is divided by, as in Cui's code",
    ),
    (
        "weighted_ce",
        "no paper",
        "torch's weight= divides by the sum of the batch's weights, not by the batch size",
        "architectures cites torch; the losses it prints fit division by the weights' sum",
        "weight_sum by default; reduction=batch_size is the plain mean",
    ),
    (
        "bce, focal_sigmoid",
        "sum over the classes (Lin et al.)",
        "Cui's code sums; torch's BCEWithLogitsLoss and timm take the mean, K times less; Cui starts the bias at "
        "-log(K - 1)",
        "awabs: alpha above 1 penalises false positives; its own formula penalises false negatives",
        "the sum, classes=mean for the other; the bias is the network's business",
    ),
    (
        "ldam",
        "no scale s; C is tuned in m_c = C / n_c^(1/4) (Cao et al.)",
        "largest margin 0.5 fixed, logits times s = 30, cosine classifier; RIDE and SADE put s into the classifier",
        "architectures prints mean losses up to 72 over the tail and 48 over all images, which cosines at s = 30 do not "
        "give: a plain linear classifier",
        "the code's form; the classifier is a setting of the method, cosine or linear",
    ),
    (
        "ldam_drw, deferred",
        "weights 1 / n_c (Cao et al., Algorithm 1)",
        "effective number, beta 0.9999, from epoch 160 of 200, torch's weighted mean; epoch // 160 fails from 320 on",
        "awabs names LDAM + DRW without settings",
        "the code's weights; the switch is a share of the epochs, 0.8",
    ),
    (
        "vs",
        "multiplicative Delta (Kini et al.)",
        "divides by (n_max / n_c)^gamma, the same thing; gamma 0.3, tau 1",
        "not in the documents",
        "the code's; the weights omega_c are not built",
    ),
    (
        "equalization",
        "does not say how often the coin is thrown (Tan et al.)",
        "BagofTricks-LT: per image and class; exponentiates bare logits, which overflows above 88",
        "architectures names the loss without a formula; its printed losses alone depart from the mean over groups, as "
        "drawn ones would",
        "per image and class, over a logsumexp; gamma 0.9, threshold 0.005",
    ),
    (
        "lade",
        "an image is weighed by its own class (Hong et al.)",
        "the prior of the logit's class is subtracted instead, which leaves of the term's gradient only the square's",
        "awabs gives alpha but not the regulariser",
        "the code's by default, as the published results; importance=sample is the paper's",
    ),
    (
        "label_aware_smoothing",
        "true class 1 - eps, the rest to the K - 1 others (MiSLAS)",
        "true class 1 - eps + eps / K",
        "awabs Eq. 3.2 has K - 1, its Eq. 3.4 has K; neither form nor epsilons are stated",
        "spread=others by default, spread=all for the code; concave; mislas_epsilons has the code's values",
    ),
    (
        "cefl, cefl2",
        "the document is the paper",
        "none is known",
        "gamma > 0 is asked for, then gamma = 0 is used; its sentences on who gets the larger loss contradict each other",
        "the equations decide; gamma 0 is allowed",
    ),
    (
        "loss_equalised, prior_equalised",
        "formula not in what could be read (Huang et al.)",
        "none is known",
        "loss_balance: 'a balanced total loss for each class'; PE is nowhere defined",
        "LE: equal weight of each class in the batch; scope=loss: equal loss; PE: the same over the training set. Ours.",
    ),
    (
        "ohem",
        "128 of some 4,000 regions of two images (Shrivastava et al.)",
        "as the paper",
        "cefl only names it",
        "the hardest 70% of a batch; the share is our choice",
    ),
    (
        "supcon",
        "the mean over positives stands outside the logarithm (Khosla et al., Eq. 2)",
        "times temperature / base temperature",
        "convergent Eqs. 1 and 5 differ by the factor 1 / N; its text puts the classifier on features, its code on the "
        "normalised projection",
        "Eq. 2, mean over samples that have a positive; classifier_input is a setting of the method",
    ),
    (
        "tsc",
        "targets weigh 1 (Li et al., Eq. 4); matched to classes once an epoch",
        "released command 0.2; matched in every step; a queue of keys",
        "convergent calls KCL what is TSC: uniform centres are TSC's",
        "0.2; matched before each epoch; the batch in place of the queue",
    ),
    (
        "bcl",
        "any number of views (Zhu et al.)",
        "exactly two, classes counted on the host",
        "convergent: class-complement 'by using the negative samples from head classes'; it is a prototype of every "
        "class in every batch",
        "any number of views; prototypes from the classifier or the loss's own",
    ),
)


def differences() -> pd.DataFrame:
    """Where papers, reference codes and documents disagree, and what is done here."""
    import pandas as pd

    return pd.DataFrame(DIFFERENCES, columns=["loss", "paper", "reference code", "documents", "here"])


def catalogue(document: str) -> pd.DataFrame:
    """The methods of a document: its name for each, our id and module, or why it is not built."""
    rows = published.methods(document)
    frame = rows[["name", "where", "id", "module", "note"]].copy()
    frame.loc[frame["id"] == "", "id"] = "not built"
    return frame.rename(columns={"name": "its name", "id": "here", "module": "equation or code in", "note": "remark"})
