"""A recipe: everything a training needs besides data, network and method, checked where it is made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ltlib.batches import augment
from ltlib.datasets.base import LARGEST
from ltlib.errors import SettingError, UnknownName
from ltlib.limits import BELOW_ONE, NOT_NEGATIVE, POSITIVE, Limit, check_limits
from ltlib.recipes.averages import AVERAGES
from ltlib.recipes.optimizers import OPTIMIZERS
from ltlib.registry import Spec, Value, parse, plain

SELECTIONS = ("last", "best_validation_loss", "best_test_loss", "best_test_accuracy")
PRECISIONS = ("float32", "bf16")
PARTS = ("backbone", "classifier", "projector")
LIMITS: Mapping[str, Limit] = {
    "epochs": Limit(1, whole=True),
    "batch_size": Limit(2, whole=True),
    "batch_parts": Limit(1, whole=True),
    "patience": Limit(whole=True),
    "evaluate_every": Limit(1, whole=True),
    "warmup_epochs": Limit(whole=True),
    "warmup_start": NOT_NEGATIVE,
    "lr": POSITIVE,
    "decay": Limit(most=1, above=True),
    "weight_decay": NOT_NEGATIVE,
    "momentum": BELOW_ONE,
    "resize": Limit(most=LARGEST, whole=True),
    "sharpness": NOT_NEGATIVE,
    "sharpness_below": Limit(whole=True),
}
"""Of the settings of a recipe that are one number."""


@dataclass(frozen=True)
class Recipe:
    """Everything a training needs besides data, network and method.

    Attributes:
        epochs: Epochs of a stage whose share is 1.
        batch_size: Images a step; a last batch of one image is dropped, any other short batch is used.
        batch_parts: In how many parts a batch goes through the network, so that a smaller card can take it; loss,
            gradient and step stay the whole batch's. Of at least two images each, so at most half of `batch_size`.
            Batch normalisation sees a part, see `ltlib.training.parts`.
        optimizer: One of `OPTIMIZERS`, with its settings in brackets: ``sgd``, ``adam[beta1=0.8]``. Kept with every
            setting filled in; ``sgd`` without brackets, because its settings are the next two fields.
        lr: Peak learning rate.
        momentum, nesterov: Of ``sgd``; no other optimizer reads them.
        weight_decay: Covers every trained parameter, as in the reference codes; how it acts is the optimizer's.
        schedule: ``step``, ``cosine`` or ``constant``, set at the start of each epoch.
        milestones: For ``step``: shares of the epochs after which the rate is multiplied by `decay`.
        decay: That factor, at most 1.
        warmup_epochs: Epochs of linear warm-up; epoch e (from 1) of w has the rate start + (lr - start) * e / w.
        warmup_start: The rate the warm-up starts from.
        warmup_by: ``epoch``, or ``batch``: step s (from 0) of S in epoch e then has the rate
            start + (lr - start) * (e - 1 + s / S) / w.
        augmentation: Parts as `ltlib.batches.augment.create` takes them.
        normalise: ``mean_std``, ``unit`` (x / 255) or ``unit_twice`` (x / 255 / 255); or what a published network was
            trained with: ``imagenet``, ``half``, ``signed``, see `ltlib.batches.normalising.Normaliser`.
        resize: Side in pixels to which images are enlarged on the device (`Resident.enlarged`), after augmentation,
            normalisation and mixing, in training and in evaluation; 0 leaves them as they are stored.
        frozen: Parts of the network that every stage leaves as they begin: ``backbone``, ``classifier``, ``projector``.
        selection: Which epoch a document reports: ``last``, ``best_validation_loss``, ``best_test_loss`` or
            ``best_test_accuracy``. The last epoch's numbers are always kept beside it.
        patience: Stop after this many epochs without a lower loss of the selection's set; 0 never stops.
        precision: ``float32`` or ``bf16`` (autocast, float32 weights and losses).
        evaluate_every: Epochs between evaluations; the last epoch is always evaluated. A ``best_...`` selection chooses
            among the epochs that are evaluated, so it usually wants 1.
        average: Of the weights, one of `AVERAGES` with its settings in brackets, or ``none``: what is evaluated,
            selected and handed to the next stage in place of the last step's weights, with statistics of its own
            (`ltlib.training.averaging`).
        sharpness: Length rho of the climb before each step (`ltlib.training.sharpness`), which then costs two; 0 for
            none.
        sharpness_below: Climb for classes of fewer training images than this alone (ImbSAM); 0 climbs for all.
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
    warmup_by: str = "epoch"
    augmentation: tuple[str, ...] = ("crop4", "flip")
    normalise: str = "mean_std"
    selection: str = "last"
    patience: int = 0
    precision: str = "float32"
    evaluate_every: int = 1
    optimizer: str = "sgd"
    resize: int = 0
    frozen: tuple[str, ...] = ()
    batch_parts: int = 1
    average: str = "none"
    sharpness: float = 0.0
    sharpness_below: int = 0
    method_defaults: tuple[tuple[str, str, Value], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, plain(getattr(self, f.name)))
        for name in ("milestones", "augmentation", "frozen"):  # one value in brackets is read as a number or a word
            value = getattr(self, name)
            if not isinstance(value, tuple):
                object.__setattr__(self, name, () if value is None else (value,))
        for share in self.milestones:
            POSITIVE.check("each of the milestones of a recipe", share)
        object.__setattr__(self, "milestones", tuple(float(share) for share in self.milestones))
        augment.create("+".join(map(str, self.augmentation)) or "none")
        for part in self.frozen:
            if part not in PARTS:
                raise UnknownName("part of a network", str(part), PARTS)
        object.__setattr__(self, "frozen", tuple(sorted(set(self.frozen))))  # one identity for one meaning
        check_limits(LIMITS, "a recipe", {name: getattr(self, name) for name in LIMITS})
        if self.batch_parts > self.batch_size // 2:
            raise SettingError(
                f"recipe setting batch_parts must leave two images a part: at most {self.batch_size // 2} for a batch "
                f"of {self.batch_size}, not {self.batch_parts}"
            )
        if self.sharpness_below and (not self.sharpness or self.batch_parts > 1):
            needed = "batch_parts=1" if self.sharpness else "a sharpness above 0"
            raise SettingError(f"recipe setting sharpness_below needs {needed}")
        self._settle_optimizer()
        if self.average is None:  # as none in brackets is read
            object.__setattr__(self, "average", "none")
        if self.average_spec is not None:
            AVERAGES.create(self.average_spec)  # refuses values outside their range
            object.__setattr__(self, "average", str(self.average_spec))
        for name, known in (
            ("schedule", ("step", "cosine", "constant")),
            ("warmup_by", ("epoch", "batch")),
            ("selection", SELECTIONS),
            ("precision", PRECISIONS),
            ("normalise", augment.NORMALISATIONS),
        ):
            if getattr(self, name) not in known:
                raise SettingError(
                    f"recipe setting {name} must be one of {', '.join(known)}, not {getattr(self, name)!r}"
                )

    def _settle_optimizer(self) -> None:
        """Refuse an optimizer that cannot be meant, and write one that can in its one spelling."""
        spec = self.optimizer_spec
        OPTIMIZERS.create(spec)  # refuses values outside their range
        if spec.name == "sgd":
            changes = {"optimizer": "sgd"} | dict(spec.settings)
        elif (self.momentum, self.nesterov) == (Recipe.momentum, Recipe.nesterov):
            changes = {"optimizer": str(spec)}
        else:
            raise SettingError(f"recipe settings momentum and nesterov are sgd's; {spec.name} does not read them")
        for name, value in changes.items():
            object.__setattr__(self, name, value)

    @property
    def optimizer_spec(self) -> Spec:
        """The optimizer with all its settings; those of ``sgd`` that its brackets do not give are the recipe's."""
        text = str(self.optimizer)
        plain = OPTIMIZERS.get(parse(text)[0]).name == "sgd"
        own: dict[str, Value] = {"momentum": self.momentum, "nesterov": self.nesterov} if plain else {}
        return OPTIMIZERS.spec(text, **own)

    @property
    def average_spec(self) -> Spec | None:
        """The average with all its settings, or None."""
        return None if self.average == "none" else AVERAGES.spec(self.average)

    def identity(self) -> dict[str, Any]:
        """What identifies a run: the values, not the name.

        Values that are this class's defaults are left out, so that a field added later changes no older identity. For
        the same reason a default here is never changed: a recipe says its own value instead. Precision is left to the
        experiment. An optimizer other than the first version of ``sgd`` comes with its version.
        """
        skip = ("precision", "method_defaults")
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skip}
        optimizer = self.optimizer_spec
        if (optimizer.name, optimizer.version, optimizer.own) != ("sgd", 1, ""):
            values["optimizer"] = optimizer.identity()
        if self.average_spec is not None:
            values["average"] = self.average_spec.identity()
        return {f.name: values[f.name] for f in fields(self) if f.name in values and values[f.name] != f.default}

    @property
    def looks(self) -> int:
        """How often a step looks at its batch: twice where it is made with the gradient of another place."""
        return 2 if self.sharpness else 1

    def side(self, stored: int) -> int:
        """Height and width in pixels of images as the network sees them, that are stored with this one."""
        return self.resize or stored

    def learning_rate(self, epoch: int, epochs: int) -> float:
        """The rate of one epoch; in a warm-up by batch the one it rises to.

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

    def rates(self, epoch: int, epochs: int, steps: int) -> list[float]:
        """The rate of each step of an epoch: one for all, except in a warm-up by batch.

        Args:
            epoch: From 1.
            epochs: How many the stage has.
            steps: How many the epoch has.
        """
        if self.warmup_by == "epoch" or epoch > self.warmup_epochs:
            return [self.learning_rate(epoch, epochs)] * steps
        rise = (self.lr - self.warmup_start) / self.warmup_epochs
        return [self.warmup_start + rise * (epoch - 1 + step / steps) for step in range(steps)]
