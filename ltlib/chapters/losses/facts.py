"""Facts of the notebook ``02_losses``: where losses meet, what documents say of them, who defines what how, a trial.

Numbers are computed from the modules that train; the texts on papers and reference codes are those of the modules'
docstrings.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ltlib import losses, published
from ltlib.chapters.losses.curves import COUNTS, MiniBatch, called, curve

if TYPE_CHECKING:
    import pandas as pd

# --- limits ----------------------------------------------------------------------------------------------------------


def _difference(left: Callable[..., Tensor], right: Callable[..., Tensor], x: Tensor, targets: Tensor) -> float:
    """Largest absolute difference of two losses' values and gradients."""
    values, gradients = [], []
    for loss in (left, right):
        own = x.clone().requires_grad_()
        values.append(loss(own, targets))
        gradients.append(torch.autograd.grad(values[-1], own)[0])
    return max(float((values[0] - values[1]).detach().abs()), float((gradients[0] - gradients[1]).abs().max()))


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


# --- sentences of the documents, and a loss of one's own -------------------------------------------------------------


def judge(page: Any, batch: MiniBatch) -> None:
    """Put the documents' sentences about losses beside what the formulas give; equal in every profile."""
    for text, source, answer, evidence in _claims(batch):
        page.claim(text, source, answer, evidence, everywhere=True)


def _claims(batch: MiniBatch) -> list[tuple[str, str, bool | None, str]]:
    ce, focal, cefl = (curve(name, (1, 1), 0) for name in ("ce", "focal[gamma=2]", "cefl"))
    p, low, high = np.array(ce["probability"]), 9, 89  # 0.1 and 0.9
    to_ce, to_focal = (np.abs(np.subtract(cefl["loss"], other["loss"])) for other in (ce, focal))
    nearer = bool(((to_ce < to_focal) == (p < 0.5))[p != 0.5].all())
    missed, alarm = (_bce_ratio(true) for true in (True, False))
    printed, found = _focal_gradient(0.3, 1.0)
    le, sums = np.array(batch.shares("loss_equalised")), np.array(batch.shares("loss_equalised[scope=loss]"))
    gap = _gap("cefl[gamma=0]", "ce")
    return [
        (
            "Note that when γ = 0, CEFL loss is formally cross-entropy loss.",
            "cefl, section III.C",
            gap < 1e-9,
            f"Largest difference over p: {gap:.0e}. The same holds of CEFL2, of which it is not said.",
        ),
        (
            "When a sample is poorly classified (p ≤ 0.5) [...] CEFL loss is closer to cross-entropy loss. Conversely "
            "[...] closer to focal loss.",
            "cefl, section III.C",
            nearer,
            f"At gamma 2 CEFL is {to_ce[low]:.3f} from cross-entropy and {to_focal[low]:.3f} from focal at p = 0.1, "
            f"{to_ce[high]:.3f} and {to_focal[high]:.3f} at 0.9; they change places at 0.5.",
        ),
        (
            "The polarized trend of well-classified and poorly classified samples is conducive to make minor classes "
            "in smaller losses and major classes in larger losses as is shown in Fig. 4.",
            "cefl, section III.C",
            cefl["factor"][low] < cefl["factor"][high],
            f"CEFL keeps {cefl['factor'][low]:.0%} of the cross-entropy at p = 0.1, where minor classes lie, and "
            f"{cefl['factor'][high]:.0%} at 0.9: the other way round, as the next paragraph of the document says.",
        ),
        (
            "If you want false positives to be penalized more than false negatives, α must be greater than 1.",
            "awabs, section 2.2.1",
            alarm > missed,
            f"At alpha 2 a missed class costs {missed:g} times as much as at alpha 1, a false alarm {alarm:g} times.",
        ),
        (
            "dL_FL(pt)/dx = y(pt − 1)^γ (γ pt log(pt) + pt − 1)",
            "awabs, section 2.2.2",
            abs(printed - found) < 1e-9,
            f"At p = 0.3 and gamma 1 it gives {printed:+.3f}, the derivative of its own loss is {found:+.3f}: the "
            "factor is (1 - p)^gamma. At an even gamma nobody would notice.",
        ),
        (
            "thereby achieving a balanced total loss for each class",
            "loss_balance, abstract",
            None,
            "The formula is not in what could be read. Equal weight of each class in the batch leaves class losses of "
            f"{le[le > 0].min():.0%} to {le.max():.0%} of the batch above; dividing by the class's own loss "
            f"(scope=loss) gives each {sums.max():.1%}.",
        ),
    ]


def _gap(left: str, right: str) -> float:
    pair = (np.array(curve(name, (1, 1), 0)["loss"]) for name in (left, right))
    return float(np.abs(np.subtract(*pair)).max())


def _bce_ratio(true: bool) -> float:
    """Cost at alpha 2 over that at alpha 1 of a wrong output that should be on (missed) or off (false alarm)."""
    logits = torch.tensor([[-3.0, -60.0]] if true else [[60.0, 3.0]], dtype=torch.float64)
    two, one = (float(losses.create(f"bce[alpha={a}]", (1, 1))(logits, torch.tensor([0]))) for a in (2, 1))
    return round(two / one, 6)


def _focal_gradient(p: float, gamma: float) -> tuple[float, float]:
    """The printed derivative of focal loss on one sigmoid, and autograd's, for y = 1."""
    x = torch.logit(torch.tensor([[p]], dtype=torch.float64)).requires_grad_()
    losses.create(f"focal_sigmoid[gamma={gamma}]", (1,))(x, torch.tensor([0])).backward()
    assert x.grad is not None
    return (p - 1) ** gamma * (gamma * p * np.log(p) + p - 1), float(x.grad)


TRIAL = "convergent[augmentation=shift1;epochs=12;lr=0.05]"


def trials(names: Sequence[str], recipe: str = TRIAL) -> pd.DataFrame:
    """Methods on the digits at imbalance 20, a few seconds each; their runs are thrown away.

    A loss that only this notebook knows could not be read again by the scoreboard.
    """
    import pandas as pd

    from ltlib import runs
    from ltlib.experiment import Experiment

    rows, before = [], os.environ.get("LTLIB_REPORTS")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LTLIB_REPORTS"] = folder
        try:
            for name in names:
                run = runs.run(Experiment("digits", 20, "resnet8", name, recipe))
                last = run.metrics["last"]
                groups = [f"{100 * last['groups'][g]['accuracy']:.1f}" for g in ("head", "middle", "tail")]
                rows.append([called(name), f"{100 * last['accuracy']:.1f}", *groups, f"{100 * last['ece']:.1f}"])
        finally:
            os.environ.pop("LTLIB_REPORTS") if before is None else os.environ.update(LTLIB_REPORTS=before)
    return pd.DataFrame(rows, columns=["method", "accuracy %", "head %", "middle %", "tail %", "ECE %"])


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
        "sum K by default, normalise=none for the bare ones; batch_size is the divisor, as in Cui's code",
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
        "architectures prints mean losses up to 72 over the tail and 48 over all images, which cosines at s = 30 do "
        "not give: a plain linear classifier",
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
        "asks for gamma > 0, notes gamma = 0; its sentences on who gets the larger loss contradict each other",
        "the equations decide; gamma 0 is allowed",
    ),
    (
        "loss_equalised, prior_equalised",
        "formula not in what could be read (Huang et al.)",
        "none is known",
        "loss_balance: 'a balanced total loss for each class'; PE is nowhere defined",
        "LE: equal weight of each class in the batch; scope=loss: equal loss; PE: the same over the training set",
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
        "no extra factor (Khosla et al., Eq. 2)",
        "times temperature / 0.07; a sample without a positive counts as 0",
        "convergent Eq. 1 sums over the batch, its Eq. 5 takes the mean; its text puts the classifier on features, its "
        "code on the normalised projection",
        "the mean over samples that have a positive; a base temperature and classifier_input are settings",
    ),
    (
        "tsc",
        "targets weigh 1 (Li et al., Eq. 4)",
        "0.2 in the released command; targets matched in every step; a queue of keys; its CIFAR form never matches",
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
    frame = rows[["id", "name", "where", "module", "note"]].copy()
    frame.loc[frame["id"] == "", "id"] = "not built"
    return frame.rename(columns={"name": "its name", "id": "here", "module": "equation or code in", "note": "remark"})
