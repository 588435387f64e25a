"""How ids are printed: the names of methods, networks, data sets and metrics in tables, figures and sentences."""

from __future__ import annotations

from ltlib.errors import SettingError
from ltlib.registry import Value, format_value, parse

_NAMES = {
    "ce": "CE",
    "focal": "Focal",
    "supcon_ce": "SupCon + CE",
    "supcon": "SupCon",
    "simclr": "SimCLR",
    "balanced_softmax": "Balanced softmax",
    "cefl": "CEFL",
    "cefl2": "CEFL2",
    "weighted_ce": "Weighted CE",
    "class_balanced": "Class-balanced",
    "equalization": "Equalization",
    "ldam": "LDAM",
    "ldam_drw": "LDAM-DRW",
    "oversampling": "Oversampling",
    "prior_equalised": "Prior equalisation",
    "loss_equalised": "Loss equalisation",
    "logit_adjustment": "Logit adjustment",
    "mixup": "Mixup",
    "crt": "cRT",
    "lws": "LWS",
    "bbn": "BBN",
    "mislas": "MiSLAS",
    "awabs": "AWABS",
    "lade": "LADE",
    "simclr_ce": "SimCLR + CE",
    "kcl": "KCL",
    "tsc": "TSC",
    "bcl": "BCL",
    "proco": "ProCo",
    "concutmix": "ConCutMix",
    "ofbd": "OFBD",
    "paco": "PaCo",
    "glmc": "GLMC",
    "bce": "BCE",
    "focal_sigmoid": "Focal, sigmoid",
    "label_smoothing": "Label smoothing",
    "ohem": "OHEM",
    "vs": "VS",
    "deferred": "Deferred re-weighting",
    "resampling": "Re-sampling",
    "tau_norm": "Tau-normalization",
    "ncm": "Nearest class mean",
    "weight_maximum": "Maximum normalization",
    "weight_balancing": "Weight balancing",
    "reslt": "ResLT",
    "ride": "RIDE",
    "sade": "SADE",
    "balpoe": "BalPoE",
    "refit": "Refit",
    "distilled": "Distilled",
    "label_aware_smoothing": "Label-aware smoothing",
    "awabs_cutout": "AWABS, CutOut",
    "awabs_cutmix": "AWABS, CutMix",
    "awabs_cutthumbnail": "AWABS, Cut-Thumbnail",
    "awabs_mixed_thumbnail": "AWABS, mixed Cut-Thumbnail",
    "cutout": "CutOut",
    "cutmix": "CutMix",
    "cutthumbnail": "Cut-Thumbnail",
    "cmo": "CMO",
    "remix_drw": "Remix-DRW",
    "crt_mixup": "cRT + mixup",
    "lws_mixup": "LWS + mixup",
    "lws_mixup_shifted_bn": "LWS + mixup, shifted BN",
    "mixup_cbce": "CBCE in stage 2",
    "resnet8": "ResNet-8",
    "resnet18": "ResNet-18",
    "resnet32": "ResNet-32",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "efficientnet_lite0": "EfficientNet-Lite0",
    "digits": "Digits",
    "digits_folder": "Digits (as a folder)",
    "digits_crop_disease": "Digits (as crop disease)",
    "digits_mushroom": "Digits (as mushroom)",
    "digits_caltech_part": "Digits (as Caltech part)",
    "digits_ilsvrc_part1": "Digits (as ILSVRC part 1)",
    "digits_ilsvrc_part2": "Digits (as ILSVRC part 2)",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "butterfly": "Butterfly",
    "crop_disease": "Crop disease",
    "mushroom": "Mushrooms",
    "moths": "Moths",
    "inaturalist2017": "iNaturalist 2017",
    "places_lt": "Places-LT",
    "caltech_part": "Caltech (part)",
    "ilsvrc_part1": "ILSVRC (part 1)",
    "ilsvrc_part2": "ILSVRC (part 2)",
    "mobilenet_v2": "MobileNetV2",
    "resnet50v2": "ResNet50V2",
    "densenet121": "DenseNet-121",
    "convnext_base": "ConvNeXt-Base",
    "vit_b_16": "ViT-B/16",
    "longtailed": "long-tailed",
    "f1": "F1",
    "ece": "ECE",
    "mce": "MCE",
    "nll": "NLL",
    "lr": "Learning rate",
}


def label(name: str) -> str:
    """How an id is printed: ``supcon_ce`` as "SupCon + CE", ``focal[gamma=2]`` as "Focal (gamma 2)".

    A set that is read at a size of its own, ``mushroom@64``, is printed with it.
    """
    base, at, pixels = name.rpartition("@")
    if at and base in _NAMES and pixels.isdecimal():
        return f"{_NAMES[base]} at {pixels} pixels"
    try:
        base, settings = parse(name)
    except SettingError:
        return name
    text = _NAMES.get(base, base.replace("_", " ") if base.islower() else base)
    if settings:
        shown = (f"{key} {_short(value) if key == 'weights' else value}" for key, value in settings.items())
        text += f" ({', '.join(shown)})"
    return text


def network_label(model: str) -> str:
    """How a network is printed where its settings are not: by its name, and by the weights it began from."""
    try:
        name, settings = parse(model)
    except SettingError:
        return model
    weights = settings.get("weights")
    return label(name) + (f" from {_short(weights)}" if weights is not None else "")


def _short(value: Value) -> str:
    """A setting as it is printed; of a digest the first digits."""
    text = format_value(value)
    return text[: len("sha256:") + 8] if text.startswith("sha256:") else text


def set_label(dataset: str, imbalance_factor: float = 1) -> str:
    """How a data set is printed at an imbalance factor: ``cifar100`` at 50 as "CIFAR-100-LT", at 1 as "CIFAR-100"."""
    return f"{label(dataset)}{'-LT' if imbalance_factor > 1 and dataset.startswith('cifar') else ''}"
