"""`architectures`: four pretrained networks by seven losses, trained on balanced and on long-tailed CIFAR-100.

24 of the 26 tables are one shape: seven methods by five test sets. What the thesis leaves open is chosen here:
imbalance factor 100 for training (its printed accuracies imply it for the test set), batch 128, focal's gamma 2, beta
0.9999. LDAM sits on a plain linear classifier, because the printed losses exclude cosines. Table 5.8 names ImageNet-21K
weights for ViT-B/16; the other networks' are not named, and ImageNet-1K is assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ltlib import datasets
from ltlib.experiment import Experiment
from ltlib.grids.base import Document, Row
from ltlib.models.published_weights import PUBLISHED
from ltlib.profiles import Impossible
from ltlib.registry import format_spec, parse

NETWORKS: dict[str, str] = {
    "mobilenet_v2": "imagenet1k_v1",
    "resnet50v2": "imagenet1k",
    "vit_b_16": "imagenet21k",
    "convnext_base": "imagenet1k_v1",
}
"""The thesis's networks and the weights they begin from here."""
TABLES = {
    "mobilenet_v2": ("5.1", "5.2", "5.3", "A.1", "A.2", "A.3", "A.4"),
    "resnet50v2": ("5.4", "5.5", "A.5", "A.6", "A.7", "A.8"),
    "vit_b_16": ("5.6", "5.7", "5.8", "A.9", "A.10", "A.11", "A.12"),
    "convnext_base": ("5.9", "5.10", "A.13", "A.14", "A.15", "A.16"),
}
"""The tables of each network."""
METHODS = ("ce", "focal", "weighted_ce", "class_balanced", "balanced_softmax", "equalization", "ldam")
FACTOR = 100.0
TEST_PER_CLASS = 50
PROBED = "efficientnet_lite0[weights=imagenet1k]"
"""A pretrained network that comes from the package registry; ours, not one of the thesis's."""
SPECIES = "moths@224"
OWN_METHODS = {"ldam": "ldam[classifier=linear]"}
NAMES = {
    "ce": "Softmax",
    "focal": "Focal",
    "weighted_ce": "Weighted softmax",
    "class_balanced": "Class-balanced",
    "balanced_softmax": "Balanced softmax",
    "equalization": "Equalization",
    "ldam": "LDAM",
}


def network(name: str) -> str:
    """A network of the thesis with the weights it begins from."""
    return format_spec(name, {"weights": NETWORKS[name]})


def recipe(name: str) -> str:
    """The thesis's recipe, with the normalisation that a network's weights were trained with."""
    kind = PUBLISHED[name][NETWORKS[name]].normalise
    return "architectures" if kind == "imagenet" else f"architectures[normalise={kind}]"


def training(name: str, method: str, factor: float, imbalance_type: str = "exponential") -> Experiment:
    """One fine-tuning of the thesis.

    Args:
        name: Of its network.
        method: Of `METHODS`.
        factor: Imbalance factor of the training set; 1 is the balanced set.
        imbalance_type: Form of the long tail.
    """
    return Experiment(
        dataset="cifar100",
        imbalance_factor=factor,
        imbalance_type=imbalance_type,
        model=network(name),
        method=OWN_METHODS.get(method, method),
        recipe=recipe(name),
        test_per_class=TEST_PER_CLASS,
    )


def cited(row: Row) -> bool:
    """Whether a cell of Tables 5.3 and 5.8 is a number of another study."""
    return row["method"] not in METHODS


def _cell(row: Row) -> Experiment:
    if cited(row):  # nothing is trained for it; what it would be compared with
        name = row["model"] if row["model"] in NETWORKS else "vit_b_16"
        return training(name, "ce", 1)
    return training(row["model"], row["method"], FACTOR if row["train_set"] == "longtailed" else 1)


def _represented(row: Row, profile: str) -> Impossible | None:
    if cited(row):
        return Impossible("a number that the thesis cites from another study, whose training is not built here")
    if profile == "laptop":
        return Impossible("not in laptop: fine-tuning at 224 pixels is work for a GPU; linear probes are run instead")
    return None


def probe(method: str, factor: float) -> Experiment:
    """A loss on frozen features of `PROBED`."""
    return training("mobilenet_v2", method, factor).replace(model=PROBED, recipe="probe")


def _probe(profile: str) -> Iterator[Experiment]:
    """Every loss on frozen features, balanced and long-tailed; ours."""
    for factor in (1.0, FACTOR):
        for method in METHODS:
            yield probe(method, factor)


def _pareto(profile: str) -> Iterator[Experiment]:
    """The other form of the long tail, the one that section 2.1 names."""
    for method in ("ce", "balanced_softmax") if profile == "quick" else METHODS:
        yield training("mobilenet_v2", method, FACTOR, "pareto")


def _moths(profile: str) -> Iterator[Experiment]:
    """The species images of the abstract, as they are: any folder of class folders, so none where it is missing."""
    quick = profile == "quick"
    if not (quick or datasets.available(SPECIES)):
        return
    for name in list(NETWORKS)[: 1 if quick else None]:
        for method in ("ce", "balanced_softmax") if quick else METHODS:
            whole = training(name, method, 1)
            yield whole.replace(dataset=SPECIES, recipe=_photographs(whole.recipe), test_per_class=None)


def _photographs(text: str) -> str:
    """The recipe for images that are read at 224 pixels and need no enlarging."""
    name, settings = parse(text)
    changed: dict[str, Any] = {"augmentation": ("crop28", "flip"), "resize": 0}
    return format_spec(name, settings | changed)


def _seeds(grid: str, profile: str) -> int | None:
    return 3 if grid == "probe" and profile != "quick" else None


ARCHITECTURES = Document(
    "architectures",
    _cell,
    extra={"probe": _probe, "pareto": _pareto, "moths": _moths},
    represented=_represented,
    networks={"probe": ()},
    seeds=_seeds,
    resampled=("probe",),
    names=NAMES,
    group_sizes={"cifar100": {"head": 33, "middle": 33, "tail": 34}},
    home="probe",
)
