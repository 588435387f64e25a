"""The tables of `convergent`: each is one network on one set with three methods, in the document's order."""

from __future__ import annotations

DOCUMENT = "convergent"
METHODS = ("ce", "focal", "supcon_ce")
NETWORKS = ("resnet18", "resnet34", "resnet50")
DATASETS = ("cifar10", "cifar100", "butterfly")
TABLES = {
    str(1 + 3 * d + n): (dataset, model) for d, dataset in enumerate(DATASETS) for n, model in enumerate(NETWORKS)
}
