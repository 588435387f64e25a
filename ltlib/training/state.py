"""What a training under way consists of, as tensors and JSON-ready values, and the epochs it has chosen so far."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from ltlib.training import optimizers
from ltlib.training.learner import Learner
from ltlib.training.outcome import Trained
from ltlib.training.tensor_lists import all_finite, plain_copy

_BETTER_IS_LOWER = {
    f"best_{images}_{value}": f"{images}_{value}"
    for images in ("test", "validation")
    for value in ("loss", "objective")
}


class State:
    """Everything a resumed run needs, as JSON-ready values and tensors."""

    def __init__(self, learner: Learner):
        self.learner = learner
        self.epoch = 0
        self.steps_done = 0
        self.seconds = 0.0
        self.seconds_per_step = 0.0
        self.history: list[dict[str, float]] = []
        self.best = math.inf
        self.best_epoch = 0
        self.logits: dict[str, Tensor] = {}
        self.best_weights: dict[str, Tensor] | None = None
        self._objective: dict[str, Tensor] = {}
        self._network = learner.network.state_dict()  # the tensors themselves: training changes them in place

    def values(self) -> dict[str, Any]:
        clean = [{k: None if math.isnan(v) else v for k, v in row.items()} for row in self.history]
        return {
            "epoch": self.epoch,
            "steps_done": self.steps_done,
            "seconds": self.seconds,
            "history": clean,
            "best": None if math.isinf(self.best) else self.best,
            "best_epoch": self.best_epoch,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Copies of every tensor."""
        return {k: plain_copy(v) for k, v in (self.moving() | self.settled()).items()}

    def all_finite(self) -> Tensor:
        """Whether all the network's weights and statistics are finite, a bool scalar on the device."""
        return all_finite(self._network.values())

    def moving(self) -> dict[str, Tensor]:
        """The tensors themselves that training goes on to change."""
        learner = self.learner
        found = {f"network.{k}": v for k, v in self._network.items()}
        found |= {f"meter.{k}": v for k, v in learner.meter.state_dict().items()}
        found |= {f"objective.{k}": v for k, v in learner.objective.state_dict().items()}
        if learner.average is not None:
            found |= {f"average.{k}": v for k, v in learner.average.state_dict().items()}
        found |= {f"optimizer.{k}": v for k, v in optimizers.named_state(learner.optimizer).items()}
        return found

    def settled(self) -> dict[str, Tensor]:
        """The tensors that nobody changes any more; later ones take their places."""
        found = {f"logits.{k}": v for k, v in self.logits.items()}
        return found | {f"best.{k}": v for k, v in (self.best_weights or {}).items()}

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return self.values(), self.tensors()

    def restore(self, values: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.epoch, self.steps_done = values["epoch"], values["steps_done"]
        self.seconds = values["seconds"]
        self.history = [{k: math.nan if v is None else v for k, v in row.items()} for row in values["history"]]
        self.best = math.inf if values["best"] is None else values["best"]
        self.best_epoch = values["best_epoch"]
        groups: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            kind, _, name = key.partition(".")
            if kind == "momentum":  # so written while SGD was the only optimizer
                kind, name = "optimizer", f"{name}.momentum_buffer"
            groups.setdefault(kind, {})[name] = tensor
        self.learner.network.load_state_dict(groups["network"])
        self.learner.meter.load_state_dict(groups["meter"])
        if self.learner.average is not None:
            self.learner.average.load_state_dict(groups["average"])
        self._objective = groups.get("objective", {})
        self.restore_objective()
        optimizers.restore_state(self.learner.optimizer, groups.get("optimizer", {}))
        self.logits = groups.get("logits", {})
        self.best_weights = groups.get("best")

    def restore_objective(self) -> None:
        """Put back what the objective had learnt by the middle of an epoch, after it was told that the epoch begins."""
        self.learner.objective.load_state_dict(self._objective)

    def finish_epoch(self, row: dict[str, float], logits: Tensor | None, selection: str) -> None:
        self.epoch += 1
        self.steps_done = 0
        self.seconds = 0.0
        self.history.append(row)
        if logits is None:
            return
        self.logits["last"] = logits
        value = math.nan
        if selection in _BETTER_IS_LOWER:
            value = row[_BETTER_IS_LOWER[selection]]
        elif selection == "best_test_accuracy":
            value = -row["test_accuracy"]
        if value < self.best:  # NaN is never better
            self.best, self.best_epoch = value, self.epoch
            self.logits["selected"] = logits
            self.best_weights = {k: v.detach().clone() for k, v in self._network.items()}

    def patience_over(self, patience: int, epoch: int | None = None) -> bool:
        """Whether `patience` epochs have passed since the best one; of a later epoch, unless it is better."""
        epoch = self.epoch if epoch is None else epoch
        return bool(patience) and self.best_epoch > 0 and epoch - self.best_epoch >= patience

    def trained(self) -> Trained:
        chosen = self.best_epoch or self.epoch
        logits = dict(self.logits)
        if chosen == self.epoch:
            logits.pop("selected", None)
        weights = self.best_weights if chosen != self.epoch else None
        return Trained(self.history, logits, {"last": self.epoch, "selected": chosen}, weights)
