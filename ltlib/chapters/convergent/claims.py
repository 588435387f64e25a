"""The claims of `convergent`: the hypotheses of section 5.5, the findings of sections 6.4 and 7 and the abstract."""

from __future__ import annotations

from ltlib.chapters.convergent.judges import (
    ADEQUATE,
    CLOSE,
    COMPARABLE,
    SCORES,
    TRAIN_GAP,
    above,
    best_of,
    columns,
    costs,
    deeper_is_better,
    network_above,
    supcon_on_cifar100,
)
from ltlib.chapters.convergent.tables import DATASETS, DOCUMENT, METHODS, NETWORKS
from ltlib.labels import label
from ltlib.sections import claims
from ltlib.sections.answers import most, some
from ltlib.sections.judges import (
    across,
    against,
    apart,
    best_overall,
    equal,
    keeps_up,
    lead_grows,
    leaders_differ,
    least,
    needs,
    not_best,
)

_TABLES = columns(DATASETS)
_SUPCON = against("supcon_ce", METHODS)
"""SupCon + CE above both others."""
_SPACES = ("ce", "supcon", "supcon_ce", "simclr", "simclr_ce")
_TRAINING = "accuracy on the training images"
_claim = claims.of(DOCUMENT)

HYPOTHESES = (
    _claim("Deeper networks are more accurate", deeper_is_better(DATASETS, most)),
    _claim("Deeper networks cost more", costs, of_data=False),
    _claim(
        "ResNet-50 overfits more",
        needs(
            "gap",
            _TRAINING,
            across(
                {f"{TRAIN_GAP}, {label(name)}": columns([name]) for name in DATASETS},
                [(2, 0), (2, 1)],
                METHODS,
                "gap",
                rule=most,
            ),
        ),
    ),
    _claim("ResNet-18 is adequate on CIFAR-10", network_above("resnet18", ["cifar10"], within=ADEQUATE, rule=most)),
    _claim("ResNet-34 is near the best", network_above("resnet34", DATASETS, within=COMPARABLE, rule=most)),
    _claim("ResNet-50 excels on complex sets", network_above("resnet50", ["cifar100", "butterfly"], rule=most)),
    _claim("Focal is better under severe imbalance", lead_grows("focal", "ce", "factor")),
    _claim(
        "SupCon separates classes better",
        needs(
            "silhouette",
            "feature space",
            above([("supcon", "ce")], [("all",), ("tail",)], ["silhouette"], shown=_SPACES),
        ),
    ),
    _claim("SupCon + CE is better across scenarios", above(_SUPCON, _TABLES, rule=most)),
)

FINDINGS = (
    _claim("ResNet-34 + SupCon + CE is best on CIFAR-10", best_of("cifar10", "resnet34", "supcon_ce")),
    _claim("ResNet-50 is not above ResNet-34 on CIFAR-10", network_above("resnet34", ["cifar10"], rivals=["resnet50"])),
    _claim("ResNet-18 is competitive on CIFAR-10", network_above("resnet18", ["cifar10"], ["supcon_ce"], ADEQUATE)),
    _claim("SupCon + CE is best on CIFAR-10", above(_SUPCON, columns(["cifar10"]))),
    _claim("Focal does not beat the others on CIFAR-10", not_best("focal", columns(["cifar10"]))),
    _claim("CE is weakest on CIFAR-10", least("ce", columns(["cifar10"]))),
    _claim("ResNet-34 + focal is best on CIFAR-100", best_of("cifar100", "resnet34", "focal")),
    _claim(
        "ResNet-50 + focal matches ResNet-34",
        equal(
            ("cifar100", "resnet50", "focal"),
            ("cifar100", "resnet34", "focal"),
            CLOSE,
            remark="in print all twelve numbers of Table 6 repeat Table 5, so the match may be a copy",
        ),
    ),
    _claim("SupCon + CE against CE on CIFAR-100", supcon_on_cifar100()),
    _claim("Focal helps on CIFAR-100", above([("focal", "ce")], columns(["cifar100"]), rule=some)),
    _claim(
        "Focal is best on butterflies with 18 and 34",
        above(against("focal", METHODS), columns(["butterfly"], NETWORKS[:2])),
    ),
    _claim(
        "CE is best on butterflies with ResNet-50", above(against("ce", METHODS), columns(["butterfly"], NETWORKS[2:]))
    ),
    _claim(
        "SupCon + CE is last on butterflies",
        above([("ce", "supcon_ce"), ("focal", "supcon_ce")], columns(["butterfly"])),
    ),
    _claim(
        "ResNet-34 + focal for butterflies",
        best_overall(("butterfly", "resnet34", "focal"), columns(["butterfly"]), METHODS, rule=most),
    ),
    _claim(
        "SupCon + CE wins or comes close",
        keeps_up("supcon_ce", _TABLES, dict.fromkeys(SCORES, COMPARABLE), rule=most),
    ),
    _claim("SupCon + CE leads in all scores, ResNet-34", above(_SUPCON, columns(["cifar10"], ["resnet34"]), SCORES)),
    _claim(
        "SupCon + CE generalises well",
        needs("gap", _TRAINING, above([(loser, winner) for winner, loser in _SUPCON], _TABLES, ["gap"], most)),
    ),
    _claim("The gain grows with imbalance", lead_grows("supcon_ce", "ce", "factor")),
    _claim("No method is best everywhere", leaders_differ(_TABLES, METHODS)),
    _claim("The loss matters", apart(_TABLES, METHODS, CLOSE, rule=most)),
)
