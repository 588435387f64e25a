"""The claims of `convergent`: the hypotheses of section 5.5, the findings of sections 6.4 and 7 and the abstract."""

from __future__ import annotations

from ltlib.chapters.convergent.judges import (
    ADEQUATE,
    COMPARABLE,
    SCORES,
    TRAIN_GAP,
    above,
    always_close,
    best_of,
    columns,
    costs,
    deeper_is_better,
    network_above,
    supcon_on_cifar100,
)
from ltlib.chapters.convergent.tables import CLOSE, DATASETS, DOCUMENT, METHODS, NETWORKS
from ltlib.plots.style import label
from ltlib.sections import claims
from ltlib.sections.judges import across, against, apart, equal, lead_grows, leaders_differ, needs

_H, _P, _R, _E = "section 5.5", "section 6.4.1", "section 6.4.2", "section 7"
_TABLES = columns(DATASETS)
_SUPCON = against("supcon_ce", METHODS)
"""SupCon + CE above both others."""
_SPACES = ("ce", "supcon", "supcon_ce", "simclr", "simclr_ce")
_TRAINING = "accuracy on the training images"
_claim = claims.of(DOCUMENT)

HYPOTHESES = (
    _claim(
        "Deeper networks are more accurate", _H,
        "we hypothesize that the deeper architectures will exhibit superior performance in extracting nuanced "
        "features from the datasets, potentially leading to better classification accuracy",
        deeper_is_better(DATASETS), "for every method and set, ResNet-34 above ResNet-18 and ResNet-50 above ResNet-34",
    ),
    _claim(
        "Deeper networks cost more", _H,
        "this may come at the cost of increased computational resources",
        costs, of_data=False,
    ),
    _claim(
        "ResNet-50 overfits more", _H,
        "… and overfitting risks, especially for ResNet50",
        needs("gap", _TRAINING, across({f"{TRAIN_GAP}, {label(name)}": [(name, "resnet18"), (name, "resnet50")]
                                        for name in DATASETS}, [(1, 0)], METHODS, "gap")),
        "training minus test accuracy is larger for ResNet-50 than for ResNet-18; the training images are long-tailed "
        "and augmented, the test images neither",
    ),
    _claim(
        "ResNet-18 is adequate on CIFAR-10", _H,
        "We expect ResNet18 to perform adequately on less complex datasets due to its smaller architecture",
        network_above("resnet18", ["cifar10"], within=ADEQUATE),
        "at most five points behind the best network of each method",
    ),
    _claim(
        "ResNet-34 is at least near the best everywhere", _H,
        "ResNet34 might strike a balance between performance and efficiency",
        network_above("resnet34", DATASETS, within=COMPARABLE),
        "at most two points behind the best network of each method, although ResNet-50 costs more",
    ),
    _claim(
        "ResNet-50 excels on complex sets", _H,
        "For ResNet50, which is significantly deeper, we anticipate it to excel on more complex datasets where the "
        "abstraction of higher-level features is critical",
        network_above("resnet50", ["cifar100", "butterfly"]),
        "above both other networks on CIFAR-100 and the butterfly set, for every method",
    ),
    _claim(
        "Focal is better under severe imbalance", _H,
        "we hypothesize that focal loss might perform better on datasets with severe class imbalance by emphasizing "
        "the learning of underrepresented classes",
        lead_grows("focal", "ce", "factor"),
        "above CE at the largest imbalance factor, and by more than at the smallest",
    ),
    _claim(
        "SupCon separates classes better", _H,
        "SupCon is expected to enhance the separability of classes in the feature space",
        needs("silhouette", "feature space", above([("supcon", "ce")], [("all",), ("tail",)], ["silhouette"], shown=_SPACES)),
        "a larger silhouette of the test features than CE's, over all classes and among the tail classes",
    ),
    _claim(
        "SupCon + CE is best across scenarios", _H,
        "The hybrid approach of SupCon + CE could potentially combine the strengths of both, offering improved "
        "performance across various scenarios",
        above(_SUPCON, _TABLES), "above CE and focal in every table",
    ),
)  # fmt: skip

FINDINGS = (
    _claim(
        "ResNet-34 + SupCon + CE is best on CIFAR-10", f"{_P}.1",
        "ResNet34 combined with SupCon+CE emerges as the best-performing model on the CIFAR10 dataset",
        best_of("cifar10", "resnet34", "supcon_ce"), "no other pair is above it",
    ),
    _claim(
        "ResNet-50 is not above ResNet-34 on CIFAR-10", f"{_P}.1",
        "ResNet50, despite being a deeper network than ResNet34, does not translate that depth into higher accuracy",
        network_above("resnet34", ["cifar10"]), "ResNet-34 is the best of the three networks for every method",
    ),
    _claim(
        "ResNet-18 is competitive on CIFAR-10", f"{_P}.1",
        "ResNet18, while being the least complex network, still shows competitive performance, especially when "
        "combined with the SupCon+CE method",
        network_above("resnet18", ["cifar10"], ["supcon_ce"], ADEQUATE),
        "with SupCon+CE at most five points behind the best network",
    ),
    _claim(
        "SupCon + CE is best on CIFAR-10", f"{_P}.1",
        "The SupCon+CE method consistently outperforms the standard CE and Focal methods across all ResNet "
        "architectures",
        above(_SUPCON, columns(["cifar10"])),
    ),
    _claim(
        "Focal does not beat the others on CIFAR-10", f"{_P}.1",
        "The Focal loss method, designed to address class imbalance by focusing on harder-to-classify examples, does "
        "not outperform the other methods",
        above([("ce", "focal")], columns(["cifar10"])), "CE above focal with every network",
    ),
    _claim(
        "CE is weakest on CIFAR-10", f"{_P}.1",
        "Cross-Entropy loss, a standard loss function for classification problems, shows the least effective results "
        "when used alone",
        above([("focal", "ce")], columns(["cifar10"])), "CE below focal (and so last) with every network",
    ),
    _claim(
        "ResNet-34 + focal is best on CIFAR-100", f"{_P}.2",
        "ResNet34 with the Focal method stands out as the top performer in terms of accuracy",
        best_of("cifar100", "resnet34", "focal"), "no other pair is above it",
    ),
    _claim(
        "ResNet-50 + focal matches ResNet-34", f"{_P}.2",
        "ResNet50 with the Focal method matches the accuracy of ResNet34",
        equal(("cifar100", "resnet50", "focal"), ("cifar100", "resnet34", "focal"), CLOSE,
              remark="in print all twelve numbers of Table 6 repeat Table 5, so the match may be a copy"),
        "within a point",
    ),
    _claim(
        "SupCon + CE against CE on CIFAR-100", f"{_P}.2",
        "SupCon+CE shows comparable performance to CE in ResNet18 and ResNet50 but falls slightly behind in ResNet34",
        supcon_on_cifar100(),
        "within a point of CE with ResNet-18 and ResNet-50, and with ResNet-34 one to five points behind",
    ),
    _claim(
        "Focal helps on CIFAR-100", f"{_P}.2",
        "the Focal loss method, designed to address difficulties with hard-to-classify examples, can significantly "
        "improve performance on such complex datasets",
        above([("focal", "ce")], columns(["cifar100"]), rule=claims.some), "above CE with some network",
    ),
    _claim(
        "Focal is best on butterflies with 18 and 34", f"{_P}.3",
        "For both ResNet18 and ResNet34, the Focal method achieves the highest accuracy",
        above(against("focal", METHODS), columns(["butterfly"], NETWORKS[:2])),
    ),
    _claim(
        "CE is best on butterflies with ResNet-50", f"{_P}.3",
        "the CE method paired with ResNet50 outperforms other combinations for this specific model",
        above(against("ce", METHODS), columns(["butterfly"], NETWORKS[2:])),
    ),
    _claim(
        "SupCon + CE is last on butterflies", f"{_P}.3",
        "Across all three models, SupCon+CE consistently shows lower accuracy compared to the other methods",
        above([("ce", "supcon_ce"), ("focal", "supcon_ce")], columns(["butterfly"])),
    ),
    _claim(
        "ResNet-34 + focal for butterflies", _R,
        "For the Butterfly Custom Dataset, ResNet34 combined with the Focal method emerges as a strong contender for "
        "achieving high accuracy",
        best_of("butterfly", "resnet34", "focal"), "no other pair is above it",
    ),
    _claim(
        "SupCon + CE wins or comes close", _R,
        "The method consistently outperforms or competes closely with the other loss functions across various "
        "metrics, including precision, recall, F1 score, and accuracy",
        always_close, "in all nine tables and four scores best or at most two points behind",
    ),
    _claim(
        "SupCon + CE leads in all scores, ResNet-34", _R,
        "For CIFAR10, the SupCon+CE method showed superior performance in precision, recall, F1 score, and accuracy "
        "metrics when using ResNet34",
        above(_SUPCON, columns(["cifar10"], ["resnet34"]), SCORES),
    ),
    _claim(
        "SupCon + CE generalises well", _R,
        "The method’s ability to generalize well to unseen data, as indicated by its validation performance, suggests "
        "its potential as a robust solution",
        needs("gap", _TRAINING, above([(loser, winner) for winner, loser in _SUPCON], _TABLES, ["gap"])),
        "a smaller distance between training and test accuracy than CE and focal, in every table",
    ),
    _claim(
        "The gain grows with imbalance", "abstract",
        "significant improvements in model performance, particularly in environments characterized by pronounced "
        "class imbalances",
        lead_grows("supcon_ce", "ce", "factor"),
        "SupCon+CE above CE at the largest imbalance factor, and by more than at the smallest",
    ),
    _claim(
        "No method is best everywhere", _E,
        "Our findings suggest that there is no one-size-fits-all solution",
        leaders_differ(_TABLES, METHODS), "the best method differs between tables",
    ),
    _claim(
        "The loss matters", _E,
        "One of the key takeaways from our work is the critical importance of selecting the appropriate loss function",
        apart(_TABLES, METHODS, CLOSE), "in every table the best method is more than a point above the worst",
    ),
)  # fmt: skip
