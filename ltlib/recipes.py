"""Training settings by name: what a document's code or the field's standard says about everything but the method.

A recipe's numbers can be changed in brackets, ``ldam[epochs=100;lr=0.05]``; the changed values are part of a run's
identity. Milestones are shares of the epochs, so a schedule scales when the epochs change.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ltlib.batches import augment
from ltlib.errors import SettingError
from ltlib.registry import Registry, Spec, Value

SELECTIONS = ("last", "best_validation_loss", "best_test_loss", "best_test_accuracy")
PRECISIONS = ("float32", "bf16")


@dataclass(frozen=True)
class Recipe:
    """Everything a training needs besides data, network and method.

    Attributes:
        epochs: Epochs of a stage whose share is 1.
        batch_size: Images a step; a last batch of one image is dropped, any other short batch is used.
        lr: Peak learning rate of SGD.
        momentum, nesterov, weight_decay: SGD's; the decay covers every trained parameter, as in the reference codes.
        schedule: ``step``, ``cosine`` or ``constant``, set at the start of each epoch.
        milestones: For ``step``: shares of the epochs after which the rate is multiplied by `decay`.
        decay: That factor.
        warmup_epochs: Epochs of linear warm-up; epoch e (from 1) of w has the rate start + (lr - start) * e / w.
        warmup_start: The rate the warm-up starts from.
        augmentation: Parts as `ltlib.batches.augment.create` takes them.
        normalise: ``mean_std``, ``unit`` (x / 255) or ``unit_twice`` (x / 255 / 255).
        selection: Which epoch a document reports: ``last``, ``best_validation_loss``, ``best_test_loss`` or
            ``best_test_accuracy``. The last epoch's numbers are always kept beside it.
        patience: Stop after this many epochs without a lower loss of the selection's set; 0 never stops.
        precision: ``float32`` or ``bf16`` (autocast, float32 weights and losses).
        evaluate_every: Epochs between evaluations; the last epoch is always evaluated. A ``best_...`` selection chooses
            among the epochs that are evaluated, so it usually wants 1.
        method_defaults: Settings this recipe implies where the experiment does not give them: method, setting, value.
    """

    epochs: int = 200
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 2e-4
    schedule: str = "step"
    milestones: tuple[float, ...] = (0.8, 0.9)
    decay: float = 0.01
    warmup_epochs: int = 5
    warmup_start: float = 0.0
    augmentation: tuple[str, ...] = ("crop4", "flip")
    normalise: str = "mean_std"
    selection: str = "last"
    patience: int = 0
    precision: str = "float32"
    evaluate_every: int = 1
    method_defaults: tuple[tuple[str, str, Value], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name in ("milestones", "augmentation"):  # one value in brackets is read as a number or a word
            value = getattr(self, name)
            if not isinstance(value, tuple):
                object.__setattr__(self, name, () if value is None else (value,))
        if not all(isinstance(share, (int, float)) and not isinstance(share, bool) for share in self.milestones):
            raise SettingError(f"recipe setting milestones must be numbers, not {self.milestones!r}")
        object.__setattr__(self, "milestones", tuple(float(share) for share in self.milestones))
        augment.create("+".join(map(str, self.augmentation)) or "none")
        for name, low in (
            ("epochs", 1),
            ("batch_size", 2),
            ("patience", 0),
            ("evaluate_every", 1),
            ("warmup_epochs", 0),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise SettingError(f"recipe setting {name} must be a whole number of at least {low}, not {value!r}")
        for name in ("lr", "decay"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise SettingError(f"recipe setting {name} must be a positive number, not {value!r}")
        if not (0 <= self.momentum < 1 and self.weight_decay >= 0):
            raise SettingError(
                f"momentum {self.momentum} must be in [0, 1) and weight decay {self.weight_decay} not negative"
            )
        if self.nesterov and not self.momentum:
            raise SettingError("recipe setting nesterov needs a momentum above 0")
        if self.warmup_start < 0:
            raise SettingError(f"recipe setting warmup_start must not be negative, not {self.warmup_start!r}")
        for name, known in (
            ("schedule", ("step", "cosine", "constant")),
            ("selection", SELECTIONS),
            ("precision", PRECISIONS),
            ("normalise", ("mean_std", "unit", "unit_twice")),
        ):
            if getattr(self, name) not in known:
                raise SettingError(
                    f"recipe setting {name} must be one of {', '.join(known)}, not {getattr(self, name)!r}"
                )

    def identity(self) -> dict[str, Any]:
        """What identifies a run: the values, not the name.

        Values that are this class's defaults are left out, so that a field added later changes no older identity. For
        the same reason a default here is never changed: a recipe says its own value instead. Precision is left to the
        experiment.
        """
        skip = ("precision", "method_defaults")
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skip}
        return {f.name: values[f.name] for f in fields(self) if f.name in values and values[f.name] != f.default}

    def learning_rate(self, epoch: int, epochs: int) -> float:
        """The rate of one epoch.

        Args:
            epoch: From 1.
            epochs: How many the stage has.
        """
        if epoch <= self.warmup_epochs:  # a shorter training ends within its warm-up, as in LDAM-DRW's code
            return self.warmup_start + (self.lr - self.warmup_start) * epoch / self.warmup_epochs
        if self.schedule == "cosine":
            return self.lr * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / epochs))
        if self.schedule == "constant":
            return self.lr
        # LDAM-DRW's code: the rate falls in the first epoch after the milestone (161 of 200 for 0.8)
        passed = sum(epoch > round(share * epochs) for share in self.milestones)
        return self.lr * self.decay**passed


RECIPES = Registry[Recipe]("recipe")


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


def _convergent_defaults(classifier_input: str) -> tuple[tuple[str, str, Value], ...]:
    return (
        ("focal", "gamma", 2.0),
        ("focal", "alpha", "inverse_frequency"),
        ("supcon_ce", "classifier_input", classifier_input),
        ("simclr_ce", "classifier_input", classifier_input),
    )


_register(
    "convergent",
    "The `convergent` author's public code: batch 32, flips and rotation, best test loss, patience 10.",
    "github.com/Bish-Soli/MQP, March 2024",
    **_CONVERGENT,
    method_defaults=_convergent_defaults("projection"),
)
_register(
    "convergent_text",
    "The `convergent` report's text where it differs from the code: warm-up, crop, mean / std, classifier on features.",
    "convergent sections 5.4 and 5.7",
    **_CONVERGENT
    | {"warmup_epochs": 10, "warmup_start": 0.01, "augmentation": ("crop4", "flip"), "normalise": "mean_std"},
    method_defaults=_convergent_defaults("features"),
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
