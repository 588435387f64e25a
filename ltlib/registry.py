"""Components by name, and the bracketed form of their settings: ``focal[alpha=0.75;gamma=0.5]``.

A `Spec` is such a text parsed, with every default filled in and the settings sorted, so two spellings of the same
component are equal and hash equally. A component's version is bumped by hand when its numbers change.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Generic, TypeVar

from ltlib.errors import SettingError, UnknownName

Value = bool | int | float | str | None | tuple["Value", ...]
T = TypeVar("T")

_SHAPE = re.compile(r"^\s*([A-Za-z][\w.-]*)\s*(?:\[(.*)\])?\s*$", re.DOTALL)
_WORDS: dict[str, Value] = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Limit:
    """Which numbers a setting may be; a table of them beside a class says it for all of its settings.

    NaN and infinity never are one.

    Attributes:
        least: Smallest number.
        most: Largest one; infinity for none.
        above: Whether `least` itself is too small.
        below: Whether `most` itself is too large.
        whole: Whether only whole numbers are meant.
    """

    least: float = 0.0
    most: float = math.inf
    above: bool = False
    below: bool = False
    whole: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.most == math.inf:
            return f"{kind} {'above' if self.above else 'of at least'} {self.least:g}"
        low = f"above {self.least:g} and" if self.above else f"from {self.least:g} to"
        high = "below " if self.below else ("at most " if self.above else "")
        return f"{kind} {low} {high}{self.most:g}"

    def check(self, label: str, value: Any) -> None:
        """Refuse what lies outside.

        Raises:
            SettingError: It does; the sentence begins with `label`.
        """
        fits = isinstance(value, Integral if self.whole else Real) and not isinstance(value, bool)
        fits = fits and self.least <= value <= self.most and value != math.inf
        if not fits or (self.above and value == self.least) or (self.below and value == self.most):
            raise SettingError(f"{label} must be {self}, not {value!r}")


NOT_NEGATIVE, POSITIVE = Limit(), Limit(above=True)
SHARE, BELOW_ONE = Limit(most=1), Limit(most=1, below=True)


def check_limits(limits: Mapping[str, Limit], of: str, values: Mapping[str, Any]) -> None:
    """Refuse the first of these settings that lies outside its limit; a setting that is None is left alone.

    Args:
        limits: Setting to limit.
        of: What the settings are of, for the sentence: ``recipe``, ``optimizer adam``.
        values: Setting to value.

    Raises:
        SettingError: Names the setting, its limit and the value.
    """
    for name, limit in limits.items():
        if values[name] is not None:
            limit.check(f"setting {name} of {of}", values[name])


@dataclass(frozen=True)
class Spec:
    """A component and its settings, defaults filled in.

    Attributes:
        name: Registered name.
        version: The component's hand-bumped version; part of a run's identity.
        settings: Setting name to value, in alphabetical order.
        unsaid: Settings left out of the identity: newer than the component, and at their default.
    """

    name: str
    version: int = 1
    settings: Mapping[str, Value] = field(default_factory=dict)
    unsaid: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __hash__(self) -> int:
        return hash((self.name, self.version, tuple(self.settings.items())))

    def __str__(self) -> str:
        return format_spec(self.name, self.settings)

    def identity(self) -> dict[str, Any]:
        """What of this component identifies a run, as JSON-ready values."""
        said = {key: value for key, value in sorted(self.settings.items()) if key not in self.unsaid}
        return {"name": self.name, "version": self.version, "settings": said}


def format_value(value: Value) -> str:
    """Write one setting the way `parse` reads it: tuples joined by ``+``, words in lower case."""
    if isinstance(value, tuple):
        return "+".join(format_value(item) for item in value) if value else "none"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    # the + of 1e+16 would be read as a tuple's
    return repr(value).replace("e+", "e") if isinstance(value, float) else str(value)


def format_spec(name: str, settings: Mapping[str, Value]) -> str:
    """Write ``name[key=value;key=value]``, keys sorted; no brackets without settings."""
    if not settings:
        return name
    return f"{name}[{';'.join(f'{key}={format_value(settings[key])}' for key in sorted(settings))}]"


def parse_value(text: str) -> Value:
    """Read one setting: a number, true, false, none, a word, or several joined by ``+``."""
    text = text.strip()
    parts = _split(text, "+")
    if len(parts) > 1 and not re.fullmatch(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", text):
        return tuple(parse_value(part) for part in parts)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _split(text: str, mark: str) -> list[str]:
    """Split at a mark, but not within brackets: a setting may itself be a component with settings."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def parse(text: str) -> tuple[str, dict[str, Value]]:
    """Split ``name[key=value;...]`` into the name and its settings.

    Raises:
        SettingError: The text does not have this form.
    """
    shape = _SHAPE.match(text)
    if shape is None:
        raise SettingError(f"cannot read {text!r}; write name or name[setting=value;setting=value]")
    settings: dict[str, Value] = {}
    for part in filter(str.strip, _split(shape.group(2) or "", ";")):
        key, equals, value = part.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise SettingError(f"cannot read the setting {part.strip()!r} in {text!r}; write setting=value")
        if key.strip() in settings:
            raise SettingError(f"{text!r} gives the setting {key.strip()} twice; keep one")
        settings[key.strip()] = parse_value(value)
    return shape.group(1), settings


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered component: its factory, whose keyword-only parameters are the settings, and how to present it."""

    name: str
    factory: Callable[..., T]
    version: int
    summary: str
    source: str
    added: tuple[str, ...] = ()

    @property
    def defaults(self) -> dict[str, Value]:
        """The settings and their default values."""
        parameters = inspect.signature(self.factory).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}


class Registry(Generic[T]):
    """Components of one kind by name.

    Example:
        >>> losses = Registry[object]("loss")
        >>> @losses.register("ce", source="textbook")
        ... def ce(*, label_smoothing: float = 0.0):
        ...     "Cross-entropy."
        >>> str(losses.spec("ce"))
        'ce[label_smoothing=0.0]'
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, Entry[T]] = {}
        self._aliases: dict[str, str] = {}

    def register(
        self,
        name: str,
        *,
        version: int = 1,
        source: str = "",
        summary: str | None = None,
        aliases: tuple[str, ...] = (),
        added: tuple[str, ...] = (),
    ) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """Register the decorated factory; its first docstring line is the summary unless one is given.

        A setting that is added to a component of which there are runs, with a default that changes nothing, is named in
        `added`: at that default it is no part of an identity, so the runs keep theirs.
        """

        def decorate(factory: Callable[..., T]) -> Callable[..., T]:
            text = summary if summary is not None else (inspect.getdoc(factory) or "").split("\n")[0]
            self._entries[name] = Entry(name, factory, version, text, source, added)
            self._aliases.update(dict.fromkeys(aliases, name))
            return factory

        return decorate

    def get(self, name: str) -> Entry[T]:
        """The entry of that name or alias.

        Raises:
            UnknownName: With the nearest known names.
        """
        entry = self._entries.get(self._aliases.get(name, name))
        if entry is None:
            raise UnknownName(self.kind, name, [*self._entries, *self._aliases])
        return entry

    def spec(self, text: str | Spec, **defaults: Value) -> Spec:
        """Parse ``name[setting=value]`` and fill in the defaults.

        Args:
            text: The component; a `Spec` is returned as it is.
            **defaults: Settings that replace the component's own defaults where it has a setting of that name and the
                text does not give it.

        Raises:
            UnknownName: Unknown component or setting.
            SettingError: A value of another type than the default's.
        """
        if isinstance(text, Spec):
            return text
        name, given = parse(text)
        entry = self.get(name)
        known = entry.defaults
        for key, value in given.items():
            if key not in known:
                raise UnknownName(f"setting of {self.kind} {entry.name}:", key, known)
            _check_type(self.kind, entry.name, key, value, known[key])
        settings = known | {k: v for k, v in defaults.items() if k in known} | given
        for key, value in settings.items():  # 2 and 2.0 are one setting, not two runs
            if isinstance(known[key], float) and isinstance(value, int) and not isinstance(value, bool):
                settings[key] = _as_float(self.kind, entry.name, key, value)
        unsaid = tuple(key for key in entry.added if settings[key] == known[key])
        return Spec(entry.name, entry.version, dict(sorted(settings.items())), unsaid)

    def create(self, text: str | Spec, *args: Any, **settings: Any) -> T:
        """Build the component: positional arguments first, then the settings of the text, then the given ones."""
        spec = self.spec(text)
        return self.get(spec.name).factory(*args, **(dict(spec.settings) | settings))

    def names(self) -> list[str]:
        """Registered names, in order of registration (aliases left out)."""
        return list(self._entries)

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(self._entries.values())

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._aliases


def _check_type(kind: str, component: str, key: str, value: Value, default: Value) -> None:
    """Refuse NaN and infinity, a word where the default is a number or a truth value, and parts of whole numbers.

    Other types are the component's own business.
    """
    if any(isinstance(item, float) and not math.isfinite(item) for item in _flat(value)):
        raise SettingError(f"setting {key} of {kind} {component} must be finite, not {format_value(value)}")
    numeric = isinstance(default, (int, float)) and not isinstance(default, bool)
    wrong = (numeric and (isinstance(value, bool) or not isinstance(value, (int, float)))) or (
        isinstance(default, bool) and not isinstance(value, bool)
    )
    whole = isinstance(default, int) and numeric
    if wrong or (whole and isinstance(value, float)):
        wanted = "a whole number" if whole else "a number" if numeric else "true or false"
        raise SettingError(f"setting {key} of {kind} {component} must be {wanted}, not {format_value(value)!r}")


def _as_float(kind: str, component: str, key: str, value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise SettingError(f"setting {key} of {kind} {component} is too large a number") from None


def _flat(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else (value,)
