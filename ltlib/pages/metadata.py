"""The form of what a notebook declares: each key of its metadata and of a variant, with the values it may have."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ltlib import profiles
from ltlib.errors import DataError, UnknownName

LISTS = ("datasets", "tables", "figures", "grids", "after", "watches")
_PART = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
_ID = re.compile(rf"{_PART}(/{_PART})*")
_TAKEN = re.compile(r"index|(runs|figures|tables|records|bench)/.*")
"""What else lies in the folder of a profile's pages."""


def check(raw: Any, where: Path | str) -> None:
    """Refuse metadata of another form.

    Args:
        raw: What stands under the key ``ltlib``.
        where: The notebook, for the sentence.

    Raises:
        DataError: Names the notebook, the key, and what it must be.
    """
    if not isinstance(raw, Mapping):
        raise DataError(f"{where}: what it declares under 'ltlib' must be keys with values, not {_short(raw)}")
    _keys(raw, _FIELDS, where, "metadata key", ("id", "title", "question"))
    for name, own in (raw.get("variants") or {}).items():
        _keys(own, _VARIANT, where, f"key of the variant {name!r}")
    for name, own in {"": {}, **(raw.get("variants") or {})}.items():
        _lists_together(raw, own, where, name)


def _keys(
    raw: Mapping[str, Any], fields: Mapping[str, Kind], where: Path | str, what: str, needed: tuple[str, ...] = ()
) -> None:
    for key in raw:
        if key not in fields:
            raise DataError(f"{where}: {UnknownName(what, key, fields)}")
    for key in (*needed, *(key for key in raw if key not in needed)):
        fits, wanted = fields[key]
        if not fits(raw.get(key)):
            raise DataError(f"{where}: its {what} {key!r} must be {wanted}, not {_short(raw.get(key))}")


def _lists_together(raw: Mapping[str, Any], own: Mapping[str, Any], where: Path | str, name: str) -> None:
    """A variant's lists are added to the notebook's: what is in both would be declared twice."""
    for key in LISTS:
        both = [*raw.get(key, ()), *own.get(key, ())]
        if len(set(both)) < len(both):
            raise DataError(f"{where}: {key!r} of the variant {name!r} must add different texts, not {_short(both)}")


def _line(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value.splitlines()) == 1


def _id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None and _TAKEN.fullmatch(value) is None


def _different_texts(value: Any) -> bool:
    texts = isinstance(value, (list, tuple)) and all(isinstance(item, str) and item.strip() for item in value)
    return texts and len(set(value)) == len(value)


def _costs(value: Any) -> bool:
    return isinstance(value, Mapping) and all(key in profiles.PROFILES and _line(text) for key, text in value.items())


def _variants(value: Any) -> bool:
    if value is None:
        return True
    whole = isinstance(value, Mapping) and all(isinstance(own, Mapping) for own in value.values())
    return whole and all(re.fullmatch(_PART, name) for name in value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


Kind = tuple[Callable[[Any], bool], str]
"""Whether a value fits, and what it must be in words."""

_TEXTS: Kind = (_different_texts, "a list of different texts")
_LINE: Kind = (_line, "a text of one line")
_FIELDS: Mapping[str, Kind] = {
    "id": (_id, "its path under notebooks, of letters, digits, - and _ with / between, and no name that a report has"),
    "title": _LINE,
    "question": _LINE,
    "document": (lambda value: value is None or _line(value), "the name of a document, or null"),
    **dict.fromkeys(LISTS, _TEXTS),
    "cost": (_costs, f"a text for each of {', '.join(profiles.PROFILES)}"),
    "variants": (_variants, "names of letters, digits, - and _, each with keys of its own"),
}
_VARIANT: Mapping[str, Kind] = {
    "title": _LINE,
    "parameters": (lambda value: isinstance(value, Mapping), "notebook parameters with their values"),
    **dict.fromkeys(LISTS, _TEXTS),
}
