"""The recipes that have a name: the documents' and the field's standard."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace

from ltlib.recipes.recipe import Recipe
from ltlib.registry import Registry, Spec, Value

RECIPES = Registry[Recipe]("recipe", by_value=True)


def _register(name: str, summary: str, source: str, **values) -> None:
    base = Recipe(**values)

    def build(**settings) -> Recipe:
        return replace(base, **settings)

    own = [f.name for f in fields(Recipe) if f.name != "method_defaults"]
    build.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=getattr(base, key)) for key in own]
    )
    RECIPES.register(name, source=source, summary=summary)(build)


_register(
    "ldam",
    "The field's standard for long-tailed CIFAR: 200 epochs, steps at 160 and 180, warm-up of 5, last epoch.",
    "Cao et al. 2019, LDAM-DRW cifar_train.py, which evaluates every epoch and reports the best one on the test set",
    evaluate_every=10,  # with every epoch evaluated that is a quarter of all operations
)
_register(
    "awabs",
    "The `awabs` document's: as `ldam`, whose protocol it follows, but each step divides the rate by 10.",
    "awabs section 4.1.2; epochs, rate, batch size, weight decay and warm-up, which it does not state, from Cao et al.",
    decay=0.1,
)
_CONVERGENT = {
    "epochs": 100,
    "batch_size": 32,
    "weight_decay": 1e-4,
    "milestones": (7.0, 8.0, 9.0),
    "decay": 0.1,
    "warmup_epochs": 0,
    "augmentation": ("flip", "vflip", "rotate10"),
    "normalise": "unit_twice",
    "selection": "best_test_loss",
    "patience": 10,
}


def _convergent_defaults(classifier_input: str, selects_by: str) -> tuple[tuple[str, str, Value], ...]:
    return (
        ("focal", "gamma", 2.0),
        ("focal", "alpha", "inverse_frequency"),
        ("supcon_ce", "classifier_input", classifier_input),
        ("simclr_ce", "classifier_input", classifier_input),
        ("supcon_ce", "selects_by", selects_by),
    )


_register(
    "convergent",
    "The `convergent` author's public code: batch 32, flips and rotation, best test loss, patience 10.",
    "github.com/Bish-Soli/MQP, March 2024",
    **_CONVERGENT,
    method_defaults=_convergent_defaults("projection", "objective"),
)
_register(
    "convergent_text",
    "The `convergent` report's text where it differs from the code: warm-up, crop, mean / std, classifier on features.",
    "convergent sections 5.4 and 5.7",
    **_CONVERGENT
    | {
        "warmup_epochs": 10,  # how long, from what and batch by batch is the code's; the text only says "gradually"
        "warmup_start": 0.01,
        "warmup_by": "batch",
        "augmentation": ("crop4", "flip"),
        "normalise": "mean_std",
    },
    method_defaults=_convergent_defaults("features", "loss"),
)

_CEFL = {"weight_decay": 1e-4, "decay": 0.1, "warmup_epochs": 0}
_CEFL_PHOTOGRAPHS = _CEFL | {
    "batch_size": 64,
    "lr": 0.01,
    "augmentation": ("resizedcrop", "flip", "jitter0.4", "rotate15"),
}
_register(
    "cefl",
    "The `cefl` document's for CIFAR: 100 epochs, batch 128, rate 0.05, a tenth of it at 60 and 80, no warm-up.",
    "cefl section IV.B and Table 1; how far the crop pads and which epoch it reports, it leaves open",
    **_CEFL,
    epochs=100,
    lr=0.05,
    milestones=(0.6, 0.8),
    evaluate_every=10,
)
_register(
    "cefl_crop_disease",
    "The `cefl` document's for crop disease: 60 epochs, batch 64, rate 0.01, a tenth of it at 30 and 50.",
    "cefl section IV.B and Table 1, which name the augmentations and not their strength",
    **_CEFL_PHOTOGRAPHS,
    epochs=60,
    milestones=(0.5, 5 / 6),
)
_register(
    "cefl_mushroom",
    "The `cefl` document's for the mushrooms: 100 epochs, batch 64, rate 0.01, a tenth of it at 60 and 80.",
    "cefl section IV.B and Table 1, which name the augmentations and not their strength",
    **_CEFL_PHOTOGRAPHS,
    epochs=100,
    milestones=(0.6, 0.8),
)
_register(
    "loss_balance",
    "Ours for `loss_balance`, which states none: 30 epochs, batch 32, rate 0.01 falling as a cosine.",
    "ours; loss_balance, the document, states no recipe",
    epochs=30,
    batch_size=32,
    lr=0.01,
    weight_decay=1e-4,
    schedule="cosine",
    warmup_epochs=0,
)
# Of 1,095 held-out images of CIFAR-100 at imbalance factor 100 (a tenth; ce, EfficientNet-Lite0 of ImageNet, one seed),
# right in all / mean of the classes, in percent: sgd 0.1 74.1 / 47.8, sgd 1.0 72.7 / 46.1, adam 0.001 73.2 / 45.8 (not
# all training images learnt by then), adam 0.01 74.3 / 47.6. Nor does sgd 0.1 fall behind adam 0.01 for
# balanced_softmax, focal[gamma=2.0] and ldam[classifier=linear].
_register(
    "probe",
    "Ours: a linear classifier on a frozen network, images enlarged to 224 pixels, features computed once.",
    "ours; a classifier trained on a frozen backbone, as Kang et al. 2020, section 4.2; pixels as EfficientNet-Lite's",
    epochs=30,
    batch_size=128,
    lr=0.1,
    schedule="cosine",
    warmup_epochs=0,
    augmentation=(),
    normalise="signed",
    evaluate_every=5,
    resize=224,
    frozen=("backbone",),
)
_register(
    "architectures",
    "The `architectures` document's: 90 epochs of Adam, rate 0.001, a tenth of it at 30 and 60, at 224 pixels.",
    "architectures Tables 5.3 and 5.8, which state neither batch size nor weight decay",
    epochs=90,
    lr=0.001,
    optimizer="adam",
    weight_decay=0.0,
    milestones=(1 / 3, 2 / 3),
    decay=0.1,
    warmup_epochs=0,
    normalise="imagenet",
    resize=224,
    evaluate_every=10,
)


def spec(text: str | Spec) -> Spec:
    """Parse a recipe's text; see `Registry.spec`."""
    return RECIPES.spec(text)


def create(text: str | Spec) -> Recipe:
    """The recipe of that text, e.g. ``ldam`` or ``ldam[epochs=100]``.

    Raises:
        UnknownName: Unknown recipe or setting.
        SettingError: A value outside its range.
    """
    return RECIPES.create(text)
