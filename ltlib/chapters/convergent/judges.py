"""Rules that judge the claims of `convergent`, and the two worlds they are asked about: what is printed, and ours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import models, tables
from ltlib.chapters.convergent.tables import DATASETS, DOCUMENT, METHODS, NETWORKS, TABLES
from ltlib.labels import label
from ltlib.sections.claims import Answer, Compared, Judgement, Key, Numbers, Value, conclude, denied, every
from ltlib.sections.study import named
from ltlib.tables import scores

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run
    from ltlib.runs.features import Space

SCORES = ("precision", "recall", "f1", "accuracy")
CLOSE = scores.CLOSE["accuracy"]
COMPARABLE = 0.02
"""What "comparable" and "competes closely" are read as: at most two points behind."""
ADEQUATE = 0.05
"""What "adequately" and "competitive" are read as: at most five points behind the best network."""


@dataclass(frozen=True)
class World:
    """What one side has measured.

    Attributes:
        scores: By data set, network, method and score.
        names: How data set and network are called, where others stand in.
        factors: Accuracy by method and imbalance factor; empty in print.
        gaps: Training minus test accuracy at the selected epoch, by data set, network and method; empty in print.
        silhouettes: By method and ``all`` or ``tail``; empty in print.
        unmeasured: Why the last three are empty.
    """

    scores: Numbers
    names: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    factors: Numbers = field(default_factory=lambda: Numbers({}))
    gaps: Numbers = field(default_factory=lambda: Numbers({}))
    silhouettes: Numbers = field(default_factory=lambda: Numbers({}))
    unmeasured: str = "nothing was run"

    def name(self, dataset: str, model: str) -> str:
        data, network = self.names.get((dataset, model), (label(dataset), label(model)))
        return f"{network} on {data}"

    def line(self, dataset: str, model: str, score: str = "accuracy") -> str:
        """The methods of one table, best first: ``ResNet-18 on CIFAR-10: SupCon + CE 0.769, CE 0.722, Focal 0.709``."""
        keys = [(dataset, model, method, score) for method in METHODS if (dataset, model, method, score) in self.scores]
        if not keys:
            return f"{label(model)} on {label(dataset)}: not run"
        keys.sort(key=lambda key: -self.scores[key])
        return f"{self.name(dataset, model)}: {', '.join(f'{label(k[2])} {self.scores[k]:.3f}' for k in keys)}"

    def across(self, dataset: str, method: str) -> str:
        """One method by network: ``CIFAR-10, CE: ResNet-18 0.722, ResNet-34 0.749, ResNet-50 0.665``."""
        parts = []
        for model in NETWORKS:
            key = (dataset, model, method, "accuracy")
            network = self.name(dataset, model).partition(" on ")[0] if key in self.scores else label(model)
            parts.append(f"{network} {self.scores[key]:.3f}" if key in self.scores else f"{network} not run")
        return f"{label(dataset)}, {label(method)}: {', '.join(parts)}"


def results(runs: Iterable[Run], profile: str) -> pd.DataFrame:
    """Tables 1 to 9 as one comparison."""
    import pandas as pd

    found = list(runs)
    return pd.concat([tables.compare(found, DOCUMENT, table, profile) for table in TABLES], ignore_index=True)


def printed_world(frame: pd.DataFrame) -> World:
    """The document's numbers, read literally. It prints one imbalance, and no features."""
    values = {key: Value(row["published"]) for key, row in _rows(frame)}
    return World(Numbers(values), unmeasured="the document prints no such numbers")


def our_world(
    frame: pd.DataFrame,
    profile: str,
    runs: Iterable[Run] = (),
    factors: Iterable[Run] = (),
    spaces: Mapping[str, Space] | None = None,
) -> World:
    """Our numbers of a profile."""
    values = {key: Value(row["reproduced"], int(row["n"]), row["std"]) for key, row in _rows(frame) if row["n"] > 0}
    names = {(dataset, model): named(profile, dataset, model) for dataset, model in TABLES.values()}
    swept: dict[Key, list[float]] = {}
    for run in factors:
        key = (run.experiment.method.partition("[")[0], run.experiment.imbalance_factor)
        swept.setdefault(key, []).append(run.metrics["selected"]["accuracy"])
    silhouettes = {(m, "all"): Value(s.scores["silhouette"]) for m, s in (spaces or {}).items()}
    silhouettes |= {(m, "tail"): Value(s.tail["silhouette"]) for m, s in (spaces or {}).items() if s.tail}
    return World(
        Numbers(values, CLOSE),
        names,
        Numbers({key: _value(found) for key, found in swept.items()}, CLOSE),
        Numbers(_gaps(frame, runs), CLOSE),
        Numbers(silhouettes, 0.02),
    )


def _rows(frame: pd.DataFrame) -> list[tuple[Key, dict[Any, Any]]]:
    return [((r["dataset"], r["model"], r["method"], r["metric"]), r) for r in frame.to_dict("records")]


def _value(values: Sequence[float]) -> Value:
    return Value(
        float(np.mean(values)), len(values), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    )


def _gaps(frame: pd.DataFrame, runs: Iterable[Run]) -> dict[Key, Value]:
    """Training minus test accuracy at the selected epoch, by the cells that the runs fill."""
    own: dict[str, float] = {}
    for run in runs:
        row = run.history[run.history["epoch"] == run.metrics["selected"]["epoch"]].iloc[-1]
        own[run.id] = float(row["train_accuracy"] - row["test_accuracy"])
    found = {}
    for key, row in _rows(frame):
        values = [own[run_id] for run_id in row["run_ids"] if run_id in own]
        if key[3] == "accuracy" and values:
            found[key[:3]] = _value(values)
    return found


# --- judges ----------------------------------------------------------------------------------------------------------

Judge = Callable[[World], Judgement]


def beats(
    winner: str, losers: Sequence[str], datasets: Sequence[str], networks: Sequence[str] = NETWORKS,
    scores: Sequence[str] = ("accuracy",), rule: Callable[[Iterable[Answer]], Answer] = every,
) -> Judge:  # fmt: skip
    """A method is above others, on every set, with every network, in every score (`rule`: or in some)."""

    def judge(world: World) -> Judgement:
        return conclude(
            [
                (
                    [world.scores.compare((d, n, winner, s), (d, n, loser, s)) for loser in losers],
                    world.line(d, n, s) + (f" ({label(s)})" if len(scores) > 1 else ""),
                )
                for d in datasets for n in networks for s in scores
            ],
            rule,
        )  # fmt: skip

    return judge


def last(loser: str, datasets: Sequence[str]) -> Judge:
    """A method is below both others, with every network."""

    def judge(world: World) -> Judgement:
        others = [m for m in METHODS if m != loser]
        return conclude(
            [
                (
                    [world.scores.compare((d, n, m, "accuracy"), (d, n, loser, "accuracy")) for m in others],
                    world.line(d, n),
                )
                for d in datasets for n in NETWORKS
            ]
        )  # fmt: skip

    return judge


def best_of(dataset: str, model: str, method: str) -> Judge:
    """No other pair of network and method of a set is above this one."""

    def judge(world: World) -> Judgement:
        own = (dataset, model, method, "accuracy")
        others = [(dataset, n, m, "accuracy") for n in NETWORKS for m in METHODS if (n, m) != (model, method)]
        top = sorted((key for key in [own, *others] if key in world.scores), key=lambda key: -world.scores[key])[:3]
        said = "; ".join(f"{label(k[2])} with {world.name(k[0], k[1])} {world.scores[k]:.3f}" for k in top)
        compared = [world.scores.compare(other, own) for other in others]
        return conclude([([Compared(denied(one.answer), one.measured) for one in compared], f"best first: {said}")])

    return judge


def deeper_is_better(datasets: Sequence[str]) -> Judge:
    """Accuracy grows from each network to the next deeper one, for every method."""

    def judge(world: World) -> Judgement:
        steps = list(itertools.pairwise(NETWORKS))
        return conclude(
            [
                (
                    [world.scores.compare((d, deep, m, "accuracy"), (d, flat, m, "accuracy")) for flat, deep in steps],
                    world.across(d, m),
                )
                for d in datasets for m in METHODS
            ]
        )  # fmt: skip

    return judge


def network_above(
    model: str, datasets: Sequence[str], methods: Sequence[str] = METHODS, within: float | None = None
) -> Judge:
    """A network is above the others for every method; with `within`, at most so far behind."""

    def judge(world: World) -> Judgement:
        return conclude(
            [
                (
                    [
                        world.scores.compare((d, model, m, "accuracy"), (d, other, m, "accuracy"), within)
                        for other in NETWORKS if other != model
                    ],
                    world.across(d, m),
                )
                for d in datasets for m in methods
            ]
        )  # fmt: skip

    return judge


def equal(first: tuple[str, str, str], second: tuple[str, str, str], remark: str) -> Judge:
    """Two accuracies are the same, within a point; in print, the remark is added."""

    def judge(world: World) -> Judgement:
        one, two = (*first, "accuracy"), (*second, "accuracy")
        both = [world.scores.compare(one, two, CLOSE), world.scores.compare(two, one, CLOSE)]
        known = [key for key in (one, two) if key in world.scores]
        said = ", ".join(f"{label(k[2])} with {world.name(k[0], k[1])} {world.scores[k]:.3f}" for k in known)
        return conclude([(both, said + (f"; {remark}" if not world.names else ""))])

    return judge


def supcon_on_cifar100(world: World) -> Judgement:
    """Comparable to CE with ResNet-18 and ResNet-50, slightly behind with ResNet-34."""
    groups = []
    for model in NETWORKS:
        own, other = ("cifar100", model, "supcon_ce", "accuracy"), ("cifar100", model, "ce", "accuracy")
        if model == "resnet34":
            near = [world.scores.compare(other, own), world.scores.compare(own, other, ADEQUATE)]
            behind = world.scores.compare(own, other, CLOSE)
            near.append(Compared(denied(behind.answer), behind.measured))
        else:
            near = [world.scores.compare(own, other, CLOSE), world.scores.compare(other, own, CLOSE)]
        groups.append((near, world.line("cifar100", model)))
    return conclude(groups)


def always_close(world: World) -> Judgement:
    """SupCon+CE is best or at most two points behind, everywhere and in every score."""
    behind, answers = [], []
    for d, n in TABLES.values():
        for s in SCORES:
            own = (d, n, "supcon_ce", s)
            answers += [world.scores.within(own, (d, n, m, s), COMPARABLE) for m in METHODS[:2]]
            best = world.scores.largest((d, n, m, s) for m in METHODS)
            if own in world.scores and best is not None:
                behind.append((world.scores[best] - world.scores[own], own))
    if not behind:
        return Judgement(None, "Nothing comparable was run.")
    worst, key = max(behind)
    far = sum(gap > COMPARABLE + 1e-9 for gap, _ in behind)
    said = f"{far} of {len(behind)} scores lie further behind"
    said += (
        f", the furthest {label(key[3])} with {world.name(key[0], key[1])}, by {100 * worst:.1f} points" if far else ""
    )
    return Judgement(every(answers), f"{said}.")


def no_size_fits_all(world: World) -> Judgement:
    """The best method is not the same in every table."""
    winners: dict[str, list[str]] = {}
    for d, n in TABLES.values():
        rivals = [(d, n, m, "accuracy") for m in METHODS]
        best = world.scores.largest(rivals)
        if best and every(world.scores.larger(best, other) for other in rivals if other != best):
            winners.setdefault(best[2], []).append(world.name(d, n))
    if not winners:
        return Judgement(None, "No table has a clear winner among what was run.")
    said = [f"{label(m)} on {len(where)} ({', '.join(dict.fromkeys(where))})" for m, where in winners.items()]
    same: Answer = False if sum(map(len, winners.values())) == len(TABLES) else None
    return Judgement(True if len(winners) > 1 else same, f"Clear leaders by table: {'; '.join(said)}.")


def loss_matters(world: World) -> Judgement:
    """In every table the best method is more than a point above the worst."""
    groups = []
    for d, n in TABLES.values():
        known = [world.scores[d, n, m, "accuracy"] for m in METHODS if (d, n, m, "accuracy") in world.scores]
        whole = len(known) == len(METHODS)
        gap = max(known) - min(known) if whole else float("nan")
        groups.append(([Compared(gap > CLOSE if whole else None, whole)], f"{world.name(d, n)} {100 * gap:.1f} points"))
    return conclude(groups)


def costs(world: World) -> Judgement:
    """Deeper networks take more multiply-accumulates. Counted from the networks, the same in every profile."""
    if not world.names:
        return Judgement(None, "The document prints neither parameters nor times.")
    found = {model: models.create(model, 10) for model in NETWORKS}
    macs = {model: models.macs(network, 10, 32) for model, network in found.items()}
    said = [
        f"{label(m)} {models.parameter_count(net) / 1e6:.1f} million parameters, {macs[m] / 1e9:.2f} billion "
        "multiply-accumulates an image" for m, net in found.items()
    ]  # fmt: skip
    return Judgement(list(macs.values()) == sorted(macs.values()), f"{'; '.join(said)} (32x32 pixels).")


def overfits_more(world: World) -> Judgement:
    """Training minus test accuracy is larger for ResNet-50 than for ResNet-18, for every set and method."""
    return _by_gap(
        world,
        [
            (
                [world.gaps.compare((d, "resnet50", m), (d, "resnet18", m)) for m in METHODS],
                [(d, "resnet18"), (d, "resnet50")],
            )
            for d in DATASETS
        ],
    )


def generalises(world: World) -> Judgement:
    """Training minus test accuracy is smaller for SupCon+CE than for CE and focal."""
    return _by_gap(
        world,
        [
            ([world.gaps.compare((d, n, other), (d, n, "supcon_ce")) for other in METHODS[:2]], [(d, n)])
            for d, n in TABLES.values()
        ],
    )


def _by_gap(world: World, groups: Sequence[tuple[Sequence[Compared], Sequence[tuple[str, str]]]]) -> Judgement:
    if not world.gaps.values:
        return Judgement(None, f"No accuracy on the training images: {world.unmeasured}.")
    lines = []
    for compared, where in groups:
        parts = []
        for d, n in where:
            own = [f"{label(m)} {100 * world.gaps[d, n, m]:.1f}" for m in METHODS if (d, n, m) in world.gaps]
            parts += [f"{world.name(d, n)} {', '.join(own)}"] if own else []
        lines.append((compared, f"training minus test accuracy in points, {'; '.join(parts)}"))
    return conclude(lines)


def separates(world: World) -> Judgement:
    """SupCon alone has a larger silhouette than CE, over all classes and in the tail."""
    if not world.silhouettes.values:
        return Judgement(None, f"No feature space: {world.unmeasured}.")
    groups = []
    for part, words in (("all", "all classes"), ("tail", "tail classes")):
        keys = [key for key in world.silhouettes.values if key[1] == part]
        said = ", ".join(f"{label(k[0])} {world.silhouettes[k]:.2f}" for k in keys)
        compared = [world.silhouettes.compare(("supcon", part), ("ce", part))]
        groups.append((compared, f"silhouette of the test features, {words}: {said}"))
    return conclude(groups)


def over_factors(winner: str) -> Judge:
    """At the largest imbalance factor a method is above CE, and its lead is larger there than at the smallest."""

    def judge(world: World) -> Judgement:
        found = sorted({key[1] for key in world.factors.values})
        if len(found) < 2:
            return Judgement(None, f"Needs several imbalance factors: {world.unmeasured}.")
        lead = {
            factor: world.factors[winner, factor] - world.factors["ce", factor]
            for factor in found if (winner, factor) in world.factors and ("ce", factor) in world.factors
        }  # fmt: skip
        above = world.factors.compare((winner, found[-1]), ("ce", found[-1]))
        both = found[0] in lead and found[-1] in lead
        change = lead[found[-1]] - lead[found[0]] if both else 0.0
        grows = Compared(None if not both or abs(change) <= CLOSE else change > 0, both)
        said = ", ".join(f"{100 * value:+.1f} at {factor:g}" for factor, value in lead.items())
        return conclude([([above, grows], f"{label(winner)} minus CE in points, by imbalance factor: {said}")])

    return judge
