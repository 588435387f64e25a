"""What cannot be used of an image set: every file by its name, all in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ltlib.errors import DataError

NAMED = 20
"""Faults that a sentence names; of more it says how many there are."""


class Unusable(DataError):
    """Files of an image set that cannot be used: one sentence for each, and one of them all, without line breaks.

    Attributes:
        sentences: What is wrong and what helps, each with the file's name; all of them, in the order of the set.
        places: Which files of the list that was asked for are among them.
    """

    def __init__(self, folder: Path, sentences: Sequence[str], places: Iterable[int] = ()):
        self.sentences = tuple(sentences)
        self.places = frozenset(places)
        super().__init__(_together(folder, self.sentences))


def refuse(folder: Path, found: Mapping[int, str]) -> None:
    """Raise `Unusable` where a sentence was found for a file, by the file's place in its list."""
    if found:
        raise Unusable(folder, [found[place] for place in sorted(found)], found)


def _together(folder: Path, sentences: Sequence[str]) -> str:
    if len(sentences) == 1:
        return sentences[0]
    named = [sentence.replace(f"{folder}/", "") for sentence in sentences[:NAMED]]
    text = " ".join(f"({number}) {sentence}." for number, sentence in enumerate(named, 1))
    more = len(sentences) - len(named)
    rest = f" And {more:,} more, which `ltlib data verify` names." if more else ""
    return f"{len(sentences):,} faults in {folder}, and nothing of it is used until they are mended: {text}{rest}"
