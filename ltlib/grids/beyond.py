"""The workbook's own: no document prints these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ltlib import methods, profiles
from ltlib.experiment import Experiment
from ltlib.grids import architectures, awabs
from ltlib.grids.base import Document, Row
from ltlib.registry import Value, format_spec, parse
from ltlib.statistics import FEWEST_RUNS


@dataclass(frozen=True)
class Rung:
    """A step of the ladder: everything of the rung before, and one thing more.

    Attributes:
        key: Its name.
        step: What is added, in words.
        method: The method from here on.
        recipe: The settings that the recipe has from here on, besides those of the rungs before.
        side: Whether the next rung stands on the one before this one.
    """

    key: str
    step: str
    method: str
    recipe: tuple[tuple[str, Value], ...] = ()
    side: bool = False


LONGER = "length"
"""The rung that is nothing but a longer training."""
TAUGHT = "distilled"
"""The rung whose training has five others before it."""
LEFT_OUT = {"quick": (LONGER, TAUGHT), "laptop": (LONGER, TAUGHT)}
"""Rungs that a profile does not train: a length of its own, where it sets one, and what would take as long as all other
rungs together."""
ONE_VIEW = "cmo[loss=balanced_softmax]"
THREE_VIEWS = "concutmix[factor=0.0]"
"""CMO's mixing and logit adjustment on the first view, which the authors weigh 2 to 0.6 beside the contrast."""
HIGHEST = "concutmix"
"""The method of the last rung that trains a whole network from its labels alone; the two above it go on from there."""
OF_ITS_AUTHORS: dict[tuple[str, bool], dict[str, Value]] = {
    ("cifar100", False): {},
    ("cifar100", True): {"tau": 0.79, "start": 0.4},
    ("cifar10", False): {"tau": 0.85, "top_k": 3, "factor": 0.00784},
    ("cifar10", True): {"tau": 0.85, "top_k": 3, "factor": 0.00784, "start": 0.4},
}
"""Settings of `HIGHEST` by set, and whether the training is the longer one: those of its code, but for the later start
on CIFAR-10, which is taken from CIFAR-100."""
REFIT = f"refit[fresh=false;of={HIGHEST}]"
"""From the classifier that is there: it is balanced already, and a fresh one wants more than a few epochs."""
RUNGS = (
    Rung("standard", "plain training, the field's standard recipe", "ce"),
    Rung(
        "optimisation",
        "Nesterov momentum, cosine schedule, weight decay 5e-4",
        "ce",
        (("nesterov", True), ("schedule", "cosine"), ("weight_decay", 5e-4)),
    ),
    Rung("prior", "balanced softmax", "balanced_softmax"),
    Rung(
        "augmentation",
        "AutoAugment and Cutout of 16 pixels",
        "balanced_softmax",
        (("augmentation", ("crop4", "flip", "autoaugment", "cutout16")),),
    ),
    Rung("mixing", "CutMix whose pasted images come from rare classes (CMO)", ONE_VIEW),
    Rung(
        "averaging",
        "average of the weights (EMA), alternating flip: the end of the ladder at equal cost",
        ONE_VIEW,
        (
            ("average", "ema[decay=0.99]"),
            ("augmentation", ("crop4", "altflip", "autoaugment", "cutout16")),
        ),
    ),
    Rung(
        "sharpness",
        "sharpness-aware steps, rho 0.05: a side branch",
        ONE_VIEW,
        (("sharpness", 0.05),),
        side=True,
    ),
    Rung(LONGER, "400 epochs", ONE_VIEW, (("epochs", 400),)),
    Rung(
        "views",
        "balanced contrastive loss of two more views, with SimCLR's augmentation; the prior to the power tau < 1",
        THREE_VIEWS,
    ),
    Rung("similarity", "late in training, labels of mixed images by their similarity to the classes", HIGHEST),
    Rung("refit", "the classifier alone goes on, on images that are not mixed, for a tenth of the epochs", REFIT),
    Rung(
        TAUGHT,
        "the same, taught by the mean logits of five networks of the rung before",
        f"distilled[of={REFIT};teachers=5]",
    ),
)
"""Each is trained with everything before it, a side branch apart."""
EXPERTS = (
    Rung("one network", "balanced softmax: the ladder's rung `prior`", "balanced_softmax"),
    Rung("RIDE", "three experts of LDAM-DRW, rewarded for lying apart", "ride", side=True),
    Rung(
        "SADE", "three experts: for a long-tailed, a balanced and an inversely long-tailed test set", "sade", side=True
    ),
    Rung("BalPoE", "three experts that take the prior off never, once and twice, on mixed images", "balpoe", side=True),
)
"""Several experts on shared layers beside one network: a kind of its own, as each is a larger network."""
SETS = ("cifar100", "cifar10")


def rung_experiment(rung: Rung, dataset: str, profile: str = "paper") -> Experiment:
    """The training of a rung at the documents' size: imbalance factor 100, ResNet-32.

    Rungs before it that the profile leaves out add nothing, so that a rung shares what it stands on.
    """
    settings: dict[str, Value] = {}
    for one in RUNGS[: RUNGS.index(rung) + 1]:
        if one is rung or not (one.side or one.key in LEFT_OUT.get(profile, ())):
            settings |= dict(one.recipe)
    recipe = format_spec("ldam", settings)
    authors = OF_ITS_AUTHORS[dataset, "epochs" in settings]

    def own(text: str) -> dict[str, Value]:
        name, given = parse(text)
        return {key: value for key, value in authors.items() if key not in given} if name == HIGHEST else {}

    return Experiment(dataset, 100, "resnet32", methods.adjusted(rung.method, own), recipe)


def _ladder(profile: str) -> Iterator[Experiment]:
    """Every rung on both sets, but for those that the profile leaves out; once where one set stands for both."""
    apart: dict[str, str] = {}
    for dataset in SETS:
        apart.setdefault(profiles.dataset(dataset, profile), dataset)
    for dataset in apart.values():
        for rung in RUNGS:
            if rung.key not in LEFT_OUT.get(profile, ()):
                yield rung_experiment(rung, dataset, profile)


def experts_experiment(rung: Rung, dataset: str) -> Experiment:
    """Experts in the recipe of the ladder's rung `prior`, which is the one network.

    Their authors also turn the images by up to 15 degrees, and their rate falls in two steps in place of a cosine.
    """
    (prior,) = (one for one in RUNGS if one.key == "prior")
    return rung_experiment(prior, dataset).replace(method=rung.method)


def _experts(profile: str) -> Iterator[Experiment]:
    for dataset in SETS:
        for rung in EXPERTS:
            yield experts_experiment(rung, dataset)


def crossed(profile: str) -> int:
    """Seeds, and choices of images, that are trained in every combination."""
    return 2 if profile == "quick" else 3


def _crossed(profile: str) -> Iterator[Experiment]:
    """Two methods, as a whole network and on frozen features, each on several choices of images."""
    for choice in range(crossed(profile)):
        for method in ("ce", "balanced_softmax"):
            yield Experiment("cifar100", 100, "resnet32", method, "ldam", subset_seed=choice)
            yield architectures.probe(method, 100).replace(subset_seed=choice)


POST_HOC = ("ce", "balanced_softmax", "ldam_drw", "crt", "mislas", "awabs_cutmix")
"""Plain training, the prior in the loss, in the margins, in a second stage, and the second stages that calibrate."""


def _post_hoc(profile: str) -> Iterator[Experiment]:
    """Methods that keep a tenth of their training images for what is fitted afterwards; some are `awabs`'s own."""
    dataset = awabs.dataset(profile)
    for name in POST_HOC:
        method = awabs.method(name, dataset, 100)
        yield Experiment(dataset, 100, "resnet32", method, "awabs", validation="subset")


def _seeds(grid: str, profile: str) -> int | None:
    """Each seed with each choice of images; and an interval needs three runs."""
    if grid == "crossed":
        return crossed(profile)
    return FEWEST_RUNS if grid == "post_hoc" and profile != "quick" else None


def _none(row: Row) -> Experiment:
    raise AssertionError("no document prints what is asked here")


_GRIDS = {"ladder": _ladder, "experts": _experts, "crossed": _crossed, "post_hoc": _post_hoc}
BEYOND = Document("beyond", _none, extra=_GRIDS, seeds=_seeds)
