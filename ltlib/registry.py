"""Components by name, and the bracketed form of their settings: ``focal[alpha=0.75;gamma=0.5]``.

A `Spec` is such a text parsed, with every default filled in and the settings sorted, so two spellings of the same
component are equal and hash equally. A component's version is bumped by hand when its numbers change. One that does
not come from this package (a notebook's, a script's, a plugin's) is identified by its source as well, unless it is
registered with a version: then its author bumps it by hand.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from ltlib.errors import SettingError, UnknownName
from ltlib.files import digest
from ltlib.plugins.source import is_package, source_digest
from ltlib.plugins.syntax import NoSource

Value = bool | int | float | str | None | tuple["Value", ...]
T = TypeVar("T")

_SHAPE = re.compile(r"^\s*([A-Za-z][\w.-]*)\s*(?:\[(.*)\])?\s*$", re.DOTALL)
_WORDS: dict[str, Value] = {"true": True, "false": False, "none": None}
BY_HAND = "by hand"
"""In place of a source's digest: its author gave a version and bumps it when its numbers change."""
_registrations: list[None] = []
_versions: dict[int, str] = {}


def registrations() -> int:
    """How many components were registered so far, in any registry: what a name stands for may change with it."""
    return len(_registrations)


@dataclass(frozen=True)
class Spec:
    """A component and its settings, defaults filled in.

    Attributes:
        name: Registered name.
        version: The component's hand-bumped version; part of a run's identity.
        settings: Setting name to value, in alphabetical order.
        own: What identifies it besides, where it does not come from this package: the digest of its source, or
            `BY_HAND`; else empty.
        instead: Setting to what stands in the identity in place of its value: of a file, what is in it.
        unsaid: Settings left out of the identity: newer than the component, and at their default.
    """

    name: str
    version: int = 1
    settings: Mapping[str, Value] = field(default_factory=dict)
    own: str = ""
    instead: Mapping[str, Any] = field(default_factory=dict)
    unsaid: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __hash__(self) -> int:
        return hash((self.name, self.version, tuple(self.settings.items()), self.own))

    def __str__(self) -> str:
        return format_spec(self.name, self.settings)

    def identity(self) -> dict[str, Any]:
        """What of this component identifies a run, as JSON-ready values."""
        values = {**self.settings, **self.instead}
        said = {key: value for key, value in sorted(values.items()) if key not in self.unsaid}
        identity = {"name": self.name, "version": self.version, "settings": said}
        return identity | ({"own": self.own} if self.own else {})


def format_value(value: Value) -> str:
    """Write one setting the way `parse` reads it: tuples joined by ``+``, words in lower case."""
    if isinstance(value, tuple):
        return "+".join(format_value(item) for item in value) if value else "none"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    # the + of 1e+16 would be read as a tuple's
    return (
        repr(float(value)).replace("e+", "e") if isinstance(value, float) else str(value)
    )  # NumPy's repr has its type


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
    """A registered component: its factory, whose keyword-only parameters are the settings, and how to present it.

    Attributes:
        source: Where it is described: a paper, a document, a reference code.
        module: Where it was registered.
        by_hand: Whether a version was given.
    """

    name: str
    factory: Callable[..., T]
    version: int
    summary: str
    source: str
    added: tuple[str, ...] = ()
    instead: Callable[[Mapping[str, Value]], Mapping[str, Any]] | None = None
    module: str | None = None
    by_hand: bool = True

    @property
    def own(self) -> bool:
        """Whether it does not come from this package."""
        return not is_package(self.module)

    @cached_property
    def defaults(self) -> Mapping[str, Value]:
        """The settings and their default values."""
        parameters = inspect.signature(self.factory).parameters.values()
        given = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}
        return MappingProxyType(given)


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

    def __init__(self, kind: str, by_value: bool = False):
        """Args:
        kind: What messages call its components.
        by_value: Whether what a component returns identifies it, as a method's stages do; its source plays no part.
        """
        self.kind, self.by_value = kind, by_value
        self._entries: dict[str, Entry[T]] = {}
        self._aliases: dict[str, str] = {}

    def register(
        self,
        name: str,
        *,
        version: int | None = None,
        source: str = "",
        summary: str | None = None,
        aliases: tuple[str, ...] = (),
        added: tuple[str, ...] = (),
        instead: Callable[[Mapping[str, Value]], Mapping[str, Any]] | None = None,
    ) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """Register the decorated factory.

        Args:
            name: What it is asked for by.
            version: Bumped by hand when its numbers change; 1 where it is not given. A component from outside this
                package that gives it says that its author bumps it by hand, and its source then plays no part in a
                run's identity; without it the source does, and every change of it makes another run.
            source: Where it is described.
            summary: Instead of the first line of its docstring.
            aliases: Further names.
            added: Settings that the component got when there were runs of it, with defaults that change nothing: at its
                default such a setting is no part of an identity, so the runs keep theirs.
            instead: Called with the settings whenever a text is parsed; what it returns is `Spec.instead`.
        """
        module = sys._getframe(1).f_globals.get("__name__")

        def decorate(factory: Callable[..., T]) -> Callable[..., T]:
            text = summary if summary is not None else (inspect.getdoc(factory) or "").split("\n")[0]
            by_hand = version is not None
            number = 1 if version is None else version
            entry = Entry(name, factory, number, text, source, added, instead, module, by_hand)
            self._entries[name] = entry
            self._aliases.update(dict.fromkeys(aliases, name))
            _registrations.append(None)
            if not entry.own:
                _versions[id(factory)] = f"{self.kind} {name} {entry.version}"
            elif not (entry.by_hand or self.by_value):
                with contextlib.suppress(NoSource):  # read while the file is as it was when it was imported
                    source_digest(factory, _version_of)
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
        settings = {**known, **{k: v for k, v in defaults.items() if k in known}, **given}
        for key, value in settings.items():  # 2 and 2.0 are one setting, not two runs
            if isinstance(known[key], float) and isinstance(value, int) and not isinstance(value, bool):
                settings[key] = _as_float(self.kind, entry.name, key, value)
        unsaid = tuple(key for key in entry.added if settings[key] == known[key])
        own = self._mark(entry, settings)
        instead = entry.instead(settings) if entry.instead else {}
        return Spec(entry.name, entry.version, dict(sorted(settings.items())), own, instead, unsaid)

    def current(self, spec: Spec) -> Spec:
        """A spec as its component is now: the source of one's own may have changed since it was made.

        Raises:
            UnknownName: It is not registered any more.
            SettingError: Its source cannot be read.
        """
        entry = self.get(spec.name)
        own = self._mark(entry, spec.settings)
        return replace(spec, version=entry.version, own=own) if own else spec

    def own(self, text: str | Spec) -> list[Entry[T]]:
        """The components from outside this package that a text names: itself, and those in its settings."""
        name, settings = (text.name, text.settings) if isinstance(text, Spec) else parse(text)
        entry = self.get(name)
        inner = [one for value in self._inside(settings) for one in self.own(value)]
        return [entry, *inner] if entry.own else inner

    def _inside(self, settings: Mapping[str, Value]) -> list[str]:
        """Settings that name components of this registry, as the loss that another one re-weights."""
        words = [word for value in settings.values() for word in _flat(value) if isinstance(word, str)]
        return [word for word in words if _SHAPE.match(word) and parse(word)[0] in self]

    def _mark(self, entry: Entry[T], settings: Mapping[str, Value]) -> str:
        """`Spec.own` of a component with these settings."""
        if self.by_value:
            return ""
        entries = [entry] if entry.own else []
        entries += [one for word in self._inside(settings) for one in self.own(word)]
        marks = [self.own_mark(one) for one in entries]
        return marks[0] if len(marks) == 1 else digest(" ".join(marks))[:16] if marks else ""

    def own_mark(self, entry: Entry[T]) -> str:
        """What identifies a component besides name, version and settings; empty for this package's.

        Raises:
            SettingError: Its source cannot be read.
        """
        if not entry.own:
            return ""
        if entry.by_hand:
            return f"{BY_HAND} {entry.version}"
        try:
            return source_digest(entry.factory, _version_of)
        except NoSource as error:
            raise SettingError(
                f"{error}, and the source is part of what identifies a run of your own {self.kind} {entry.name}; keep "
                f"it in a file or a notebook cell and run that again, or register it with version=1 and raise the "
                "number by hand whenever its numbers change"
            ) from error

    def create(self, text: str | Spec, *args: Any, **settings: Any) -> T:
        """Build the component: positional arguments first, then the settings of the text, then the given ones."""
        spec = self.spec(text)
        return self.get(spec.name).factory(*args, **(dict(spec.settings) | {k: plain(v) for k, v in settings.items()}))

    def names(self) -> list[str]:
        """Registered names, in order of registration (aliases left out)."""
        return list(self._entries)

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(self._entries.values())

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._aliases


def plain(value: Any) -> Any:
    """A number from NumPy as Python's, also inside a tuple or a mapping; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if type(value).__module__ != "numpy" or getattr(value, "shape", None) != () or not hasattr(value, "item"):
        return value
    # the number a reader sees: 0.1 in single precision is not 0.10000000149011612
    return float(str(value)) if isinstance(value.item(), float) else value.item()


def _version_of(thing: Any) -> str:
    """The hand-bumped version of a component of this package; empty for anything else."""
    return _versions.get(id(thing), "")


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
