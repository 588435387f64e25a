"""What the runs of a comparison come to: scores of each candidate by split, class by class, and out of fold."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ltlib import calibration, metrics
from ltlib.calibration.chance import errors_by_chance
from ltlib.compare import candidates as methods
from ltlib.compare.candidates import Candidate
from ltlib.compare.labels import LabelError, likely_errors
from ltlib.compare.recommend import Recommendation, recommend
from ltlib.compare.target import Target
from ltlib.errors import RunError

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.experiment import Experiment
    from ltlib.runs import Run


@dataclass(frozen=True)
class Results:
    """A finished comparison.

    Attributes:
        target: What counts.
        tried: The candidates that were run on every split, simplest first.
        runs: By what was trained, one run a split.
    """

    target: Target
    tried: tuple[Candidate, ...]
    runs: Mapping[str, Sequence[Run]]

    def logits(self, one: Candidate, split: int) -> np.ndarray:
        """Of a split's test images, moved for the target where the candidate is, float64 [N, K]."""
        run = self.runs[one.method][split]
        found = run.predictions["last"].logits
        if found is None:
            raise RunError(f"of run {run.id} only the record is here, without logits; ltlib train --weights makes them")
        if not one.moved:
            return np.asarray(found, dtype=np.float64)
        return self.target.adjust(found, prior(one, run.class_counts))

    def targets(self, split: int) -> np.ndarray:
        """Classes of a split's test images."""
        return next(iter(self.runs.values()))[split].predictions["last"].targets

    @property
    def splits(self) -> int:
        return len(next(iter(self.runs.values())))

    @property
    def class_names(self) -> list[str]:
        return next(iter(self.runs.values()))[0].class_names

    def scores(self) -> dict[str, list[float]]:
        """The target's score by candidate and split."""
        return {
            one.name: [
                self.target.score(self.targets(split), self.logits(one, split).argmax(1))
                for split in range(self.splits)
            ]
            for one in self.tried
        }

    def recommendation(self) -> Recommendation:
        """What the scores allow to say."""
        return recommend(self.scores(), methods.BASE, self.target.chance(), self.test_share)

    @property
    def test_share(self) -> float:
        """Test images over training images of a split."""
        return len(self.targets(0)) / sum(self.runs[methods.BASE][0].class_counts)

    @property
    def labels(self) -> dict[str, str]:
        """How the candidates are printed, by name."""
        return {one.name: one.label for one in self.tried}

    def candidate(self, name: str) -> Candidate:
        return next(one for one in self.tried if one.name == name)


def prior(one: Candidate, class_counts: Sequence[int]) -> list[float]:
    """The classes' frequencies for which a candidate's softmax holds, up to a factor."""
    return [1.0] * len(class_counts) if one.learns == "equal" else [float(max(n, 1)) for n in class_counts]


def gathered(target: Target, tried: Sequence[Candidate], runs: Sequence[Run]) -> Results:
    """The results of runs of one set; a candidate that lacks a split which plain training has is left out.

    Raises:
        RunError: Plain training has fewer than two splits.
    """
    by_method: dict[str, dict[tuple[int, int], Run]] = {}
    for run in runs:
        key = run.experiment.subset_seed, run.experiment.seed
        by_method.setdefault(run.experiment.method, {})[key] = run
    base = sorted(by_method.get(methods.BASE, {}))
    if len(base) < 2:
        raise RunError(f"{len(base)} splits of plain training are there; a comparison needs at least two")
    whole = {method: [own[key] for key in base] for method, own in by_method.items() if set(base) <= set(own)}
    kept = tuple(one for one in tried if one.method in whole)
    return Results(target, kept, whole)


# --- tables ----------------------------------------------------------------------------------------------------------


def table(found: Results) -> pd.DataFrame:
    """A row a candidate: the target's score, what it adds to plain training with the interval, other scores, the recall
    of the worst class, ECE beside that of a perfectly calibrated classifier on as many images, seconds of a training,
    and the most memory that a process which trained it held.
    """
    import pandas as pd

    scores, said, rows = found.scores(), found.recommendation(), []
    for one in found.tried:
        counted = [_counted(found, one, split) for split in range(found.splits)]
        gap = said.gains.get(one.name)
        rows.append(
            {
                "method": one.label,
                "score (%)": round(100 * float(np.mean(scores[one.name])), 2),
                "on plain training": ""
                if gap is None
                else f"{100 * gap.mean:+.1f} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]",
                "accuracy (%)": round(100 * _mean(counted, "accuracy"), 2),
                "balanced (%)": round(100 * _mean(counted, "balanced"), 2),
                "macro F1": round(_mean(counted, "f1"), 3),
                "worst class (%)": round(100 * _mean(counted, "worst"), 1),
                "ECE, by chance (%)": f"{100 * _mean(counted, 'ece'):.1f}, {100 * _mean(counted, 'floor'):.1f}",
                "time (s)": round(float(np.mean([run.seconds for run in found.runs[one.method]])), 1),
                "memory (GiB)": _memory(found.runs[one.method]),
            }
        )
    return pd.DataFrame(rows)


def calibration_sentence(found: Results, one: Candidate) -> str:
    """A candidate's ECE beside what chance alone gives, in words."""
    counted = [_counted(found, one, split) for split in range(found.splits)]
    ece, floor = _mean(counted, "ece"), _mean(counted, "floor")
    beyond = sum(row["ece"] > row["high"] for row in counted)
    return (
        f"{one.label} has an ECE of {100 * ece:.1f}% before its temperature is fitted, where a perfectly calibrated "
        f"classifier of the same confidences measures {100 * floor:.1f}% on as many images by chance alone; in "
        f"{beyond} of {found.splits} splits its error is larger than 95% of those."
    )


def _counted(found: Results, one: Candidate, split: int) -> dict[str, float]:
    logits, targets = found.logits(one, split), found.targets(split)
    probabilities = calibration.probabilities(logits)
    said = probabilities.argmax(1)
    values = metrics.evaluate(targets, said, logits.shape[1])
    confidence = probabilities.max(1)
    by_chance = errors_by_chance(confidence, draws=50)
    seen = np.bincount(targets, minlength=logits.shape[1]) > 0
    recall = np.asarray(values["per_class"]["recall"], dtype=float)[seen]
    return {
        "accuracy": float(values["accuracy"]),
        "balanced": float(recall.mean()),
        "f1": float(values["f1"]),
        "worst": float(recall.min()),
        "ece": float(calibration.from_confidence(confidence, said == targets)),
        "floor": float(by_chance.mean()),
        "high": float(np.quantile(by_chance, 0.95)),
    }


def _memory(runs: Sequence[Run]) -> str:
    held = [run.provenance["peak_memory"] for run in runs if run.provenance.get("peak_memory")]
    return f"{max(held) / 2**30:.2f}" if held else ""


def _mean(rows: Sequence[Mapping[str, float]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def by_class(found: Results, one: Candidate) -> pd.DataFrame:
    """A row a class: images, recall over all splits' test images with its Wilson interval, rarest class first.

    An image that several splits test counts once a split, so intervals of classes with few images are rough.
    """
    import pandas as pd
    from scipy.stats import binomtest

    classes = len(found.class_names)
    right, seen, images = np.zeros(classes, int), np.zeros(classes, int), np.zeros(classes)
    for split in range(found.splits):
        targets = found.targets(split)
        hit = found.logits(one, split).argmax(1) == targets
        seen += np.bincount(targets, minlength=classes)
        right += np.bincount(targets[hit], minlength=classes)
        images += np.asarray(found.runs[one.method][split].class_counts)
    rows = []
    for c in np.argsort(images, kind="stable"):
        tested = int(seen[c]) / found.splits
        row = {"class": found.class_names[c], "training images": round(images[c] / found.splits)}
        row |= {"test images a split": round(tested, 1)}
        if seen[c]:
            own = max(1, round(tested))  # the interval of one split's images: the others are not new ones
            share = right[c] / seen[c]
            wide = binomtest(round(share * own), own).proportion_ci(method="wilson")
            row |= {"recall (%)": round(100 * share, 1), "low": round(100 * wide.low, 1)}
            row |= {"high": round(100 * wide.high, 1), "judged": "too few images" if tested < 10 else ""}
        rows.append(row)
    return pd.DataFrame(rows)


def confusion(found: Results, one: Candidate) -> np.ndarray:
    """Test images of all splits by actual and predicted class, int [K, K]."""
    classes = len(found.class_names)
    total = np.zeros((classes, classes), int)
    for split in range(found.splits):
        said = found.logits(one, split).argmax(1)
        total += np.asarray(metrics.confusion_matrix(found.targets(split), said, classes))
    return total


# --- single images ---------------------------------------------------------------------------------------------------


class _Images(NamedTuple):
    """Places in the set and classes of the images that a run trained on and tested, and whether both are of one set."""

    trained: np.ndarray
    tested: np.ndarray
    trained_as: np.ndarray
    tested_as: np.ndarray
    pooled: bool


@functools.lru_cache(maxsize=256)
def _images(experiment: Experiment) -> _Images:
    """Kept without the pixels, of which each split has a copy."""
    from ltlib import runs

    data = runs.load_data(experiment)
    return _Images(data.train.indices, data.test.indices, data.train.targets, data.test.targets, data.pooled)


def out_of_fold(found: Results, one: Candidate) -> dict[int, np.ndarray]:
    """Probabilities of each image by the models that were not trained on it: mean over the splits that tested it.

    Keys are places in the set (`LongTailed.test.indices`); images that no split tested are missing.
    """
    summed: dict[int, list[np.ndarray]] = {}
    for split, run in enumerate(found.runs[one.method]):
        places = _images(run.experiment).tested
        for place, row in zip(places.tolist(), calibration.probabilities(found.logits(one, split)), strict=True):
            summed.setdefault(int(place), []).append(row)
    return {place: np.mean(rows, axis=0) for place, rows in sorted(summed.items())}


def tested_share(found: Results, one: Candidate) -> float:
    """Share of the images that at least one split tested."""
    known = [_images(run.experiment) for run in found.runs[one.method]]
    tested = {int(i) for own in known for i in own.tested}
    every = tested | {int(i) for own in known for i in own.trained}
    return len(tested) / len(every) if known[0].pooled else 1.0


def label_errors(found: Results, one: Candidate) -> list[LabelError]:
    """Likely label errors among the images that some split tested; see `labels.likely_errors`."""
    from ltlib.datasets import base

    said = out_of_fold(found, one)
    run = found.runs[one.method][0]
    images = _images(run.experiment)
    given = dict(zip(images.tested.tolist(), images.tested_as.tolist(), strict=True))
    if images.pooled:
        given |= dict(zip(images.trained.tolist(), images.trained_as.tolist(), strict=True))
    places = list(said)
    listing = base.builder(run.experiment.dataset).scan()  # type: ignore[attr-defined]
    items = listing.items if images.pooled else [listing.items[place] for place in listing.tested]
    files = [item.path for item in items]
    return likely_errors(
        np.stack([said[place] for place in places]),
        np.array([given[place] for place in places]),
        found.class_names,
        [files[place] for place in places],
    )
