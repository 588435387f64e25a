"""What a component from outside this package is made of, as one digest: its source and all that it closes over.

Followed are functions, classes and values of the user's own modules and notebooks: helpers, base classes, module
constants, closure cells, default values. Of installed packages and of this one only names count, and the hand-bumped
version where there is one. Nothing of the machine enters: no path, no line number, no address.
"""

from __future__ import annotations

import builtins
import enum
import functools
import importlib.util
import inspect
import pathlib
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

from ltlib.files import canonical_json, digest
from ltlib.plugins import syntax

_PLAIN = (bool, int, str, bytes, float, complex, type(None), type(Ellipsis))
_NOISE = frozenset(
    (
        *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__slots__", "__firstlineno__"),
        *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__static_attributes__"),
        *("__abstractmethods__", "_abc_impl", "__orig_bases__", "__parameters__", "__type_params__", "__match_args__"),
        *("__dataclass_fields__", "__dataclass_params__"),
    )
)
"""Of a class: what Python adds to it."""


def source_digest(thing: Any, version: Callable[[Any], str] = lambda thing: "") -> str:
    """Sixteen hexadecimal digits of what a factory is made of.

    Args:
        thing: A function, class or other callable from outside this package.
        version: The hand-bumped version of something of this package; empty where it has none.

    Raises:
        NoSource: The source of something it is made of cannot be read.
    """
    return digest(canonical_json(_Walk(thing, version).of(thing)))[:16]


def is_package(module: str | None) -> bool:
    """Whether a module is one of this package."""
    return module is not None and module.partition(".")[0] == "ltlib"


class _Walk:
    """Describes things as nested lists; one that was met before is a number."""

    def __init__(self, thing: Any, version: Callable[[Any], str]):
        self.version = version
        self.home = str(getattr(thing, "__module__", "")).partition(".")[0]
        self.met: dict[int, int] = {}
        self.alive: list[Any] = []

    def of(self, thing: Any) -> Any:
        """A description of anything."""
        if isinstance(thing, _PLAIN) and not isinstance(thing, enum.Enum):
            return [type(thing).__name__, repr(thing)]
        if isinstance(thing, ModuleType):
            return ["module", thing.__name__ if not self._follows(thing.__name__) else self._module(thing.__name__)]
        if not isinstance(thing, (tuple, frozenset)):  # Python may keep one or several of equal ones
            if id(thing) in self.met:
                return self.met[id(thing)]
            self.met[id(thing)] = len(self.met)
            self.alive.append(thing)  # so that no other thing gets its id
        return self._described(thing)

    def _described(self, thing: Any) -> Any:
        if isinstance(thing, FunctionType):
            return self._function(thing)
        if isinstance(thing, type):
            return self._class(thing)
        if isinstance(thing, enum.Enum):
            return ["enum", type(thing).__qualname__, thing.name, self.of(thing.value)]
        if isinstance(thing, (tuple, list)):
            return [type(thing).__name__, *map(self.of, thing)]
        if isinstance(thing, (set, frozenset)):
            return ["set", *sorted(map(self.of, thing), key=canonical_json)]
        if isinstance(thing, Mapping):
            return ["mapping", *([self.of(key), self.of(value)] for key, value in thing.items())]
        if isinstance(thing, (staticmethod, classmethod)):
            return [type(thing).__name__, self.of(thing.__func__)]
        if isinstance(thing, property):
            return ["property", *map(self.of, (thing.fget, thing.fset, thing.fdel))]
        if isinstance(thing, MethodType):
            return ["method", self.of(thing.__func__), self.of(thing.__self__)]
        if isinstance(thing, functools.partial):
            return ["partial", self.of(thing.func), self.of(thing.args), self.of(thing.keywords)]
        if isinstance(thing, functools.cached_property):
            return ["property", self.of(thing.func)]
        if isinstance(thing, BuiltinFunctionType):
            return ["named", thing.__name__]
        return self._instance(thing)

    # --- code --------------------------------------------------------------------------------------------------------

    def _function(self, function: FunctionType) -> Any:
        space = function.__globals__
        free = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        cells = [(name, _content(cell)) for name, cell in free]
        if not self._follows(space.get("__name__")):
            if is_package(space.get("__name__")):
                return self._named(function)
            inner = [self.of(value) for _, value in cells if isinstance(value, (FunctionType, type))]
            return ["named", str(space.get("__name__")).partition(".")[0], function.__code__.co_name, *inner]
        meaning = syntax.meaning(function.__code__, space)
        values = []
        for name in meaning.names:
            if name in space and not name.startswith("__"):
                values.append([name, self._global(space[name], meaning.chains[name])])
        return [
            "function",
            meaning.tree,
            self.of(function.__defaults__),
            self.of(dict(sorted((function.__kwdefaults__ or {}).items()))),
            [[name, self.of(value)] for name, value in cells],
            values,
            [found for item in meaning.imports if (found := self._imported(*item, space)) is not None],
        ]

    def _global(self, value: Any, chains: frozenset[tuple[str, ...]]) -> Any:
        """A global variable; of a module only what is read from it."""
        if not isinstance(value, ModuleType) or not chains:
            return self.of(value)
        if not self._follows(value.__name__) and not is_package(value.__name__):
            return ["module", value.__name__]
        found = []
        for chain in sorted(chains):
            thing: Any = value
            for name in chain:
                if not isinstance(thing, ModuleType):
                    break
                thing = getattr(thing, name, None)
            found.append([list(chain), self.of(thing)])
        return ["module", found]

    def _imported(self, name: str, level: int, space: Mapping[str, Any]) -> Any:
        """A module that a function imports when it runs: the whole text of one that is the user's own."""
        if level:
            name = importlib.util.resolve_name("." * level + name, str(space.get("__package__") or ""))
        return self._module(name) if self._follows(name) else None

    def _module(self, name: str) -> Any:
        """A module's whole syntax, for where nothing says what is used of it."""
        spec = getattr(sys.modules.get(name), "__spec__", None) or _found(name)
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            return name.rpartition(".")[2]
        return syntax.of_text(Path(spec.origin).read_text(encoding="utf-8"))

    def _class(self, kind: type) -> Any:
        if not self._follows(kind.__module__) and not _homeless(kind):
            return self._named(kind)
        if issubclass(kind, enum.Enum):
            return ["enum", [[one.name, self.of(one.value)] for one in kind]]
        own = dict(vars(kind))
        parts: list[Any] = []
        if "__dataclass_fields__" in own:
            own = {name: value for name, value in own.items() if not _generated(value)}
            parts = [[f.name, self.of(f.default), self.of(f.default_factory), f.init, f.kw_only] for f in fields(kind)]  # type: ignore[arg-type]
        elif hasattr(kind, "_fields"):
            own = {name: value for name, value in own.items() if not _generated(value)}
        bases = [self.of(base) for base in kind.__bases__ if base is not object]
        members = [[name, self.of(own[name])] for name in sorted(own) if name not in _NOISE]
        return ["class", bases, members, parts, *([self.of(type(kind))] if type(kind) is not type else [])]

    def _named(self, thing: Any) -> Any:
        """Something of this package or an installed one, and its hand-bumped version."""
        version = self.version(thing) if is_package(thing.__module__) else ""
        return ["named", f"{thing.__module__}.{thing.__qualname__}", *([version] if version else [])]

    # --- values ------------------------------------------------------------------------------------------------------

    def _instance(self, thing: Any) -> Any:
        kind = type(thing)
        if kind is object:
            return ["object"]
        if thing is MISSING or isinstance(thing, pathlib.PurePath):  # where something lies says nothing about it
            return [kind.__name__]
        if callable(wrapped := getattr(thing, "__wrapped__", None)):  # a cache round a function, and its like
            return ["wrapped", kind.__name__, self.of(wrapped)]
        numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
        if numpy is not None and isinstance(thing, (numpy.ndarray, numpy.generic)):
            if thing.dtype.hasobject:
                return ["array", self.of(thing.tolist())]
            return ["array", str(thing.dtype), list(thing.shape), digest(thing.tobytes())]
        if torch is not None and isinstance(thing, torch.Tensor):
            raw = thing.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            return ["tensor", str(thing.dtype), list(thing.shape), digest(raw.numpy().tobytes())]
        if torch is not None and isinstance(thing, torch.nn.Module):
            return ["network", self.of(kind), self.of(dict(thing.state_dict()))]
        if is_dataclass(thing):
            return ["instance", self.of(kind), [[f.name, self.of(getattr(thing, f.name))] for f in fields(thing)]]
        if self._follows(kind.__module__) or _homeless(kind):
            return ["instance", self.of(kind), self.of(dict(sorted(getattr(thing, "__dict__", {}).items())))]
        said = repr(thing)
        return ["instance", f"{kind.__module__}.{kind.__qualname__}", *([said] if " at 0x" not in said else [])]

    def _follows(self, module: Any) -> bool:
        """Whether a module is the user's own: a notebook, a script, a file that is not installed."""
        if module is None or module == "__main__":
            return True
        top = str(module).partition(".")[0]
        if is_package(module) or top in sys.stdlib_module_names:
            return False
        if top == self.home:
            return True
        known = sys.modules.get(str(module))
        spec = getattr(known, "__spec__", None) or (None if known is not None else _found(str(module)))
        file = getattr(known, "__file__", None) or (spec.origin if spec is not None else None)
        file = file or next(iter(getattr(known, "__path__", ())), None)  # a folder without __init__.py
        if file is None:
            return known is None and spec is None
        return not _installed(file)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _found(name: str) -> Any:
    """A module's spec without importing it; None where there is none."""
    try:
        return importlib.util.find_spec(name) if name else None
    except (ImportError, ValueError, AttributeError):
        return None


def _homeless(kind: type) -> bool:
    """A class made by ``exec`` without a module says it was built in."""
    return (
        kind.__module__ == "builtins"
        and getattr(builtins, kind.__name__, None) is not kind
        and bool(kind.__flags__ & 1 << 9)
    )


def _generated(member: Any) -> bool:
    """Whether a method was written by Python itself, as those of a dataclass are."""
    code = getattr(inspect.unwrap(member) if callable(member) else member, "__code__", None)
    return code is not None and code.co_filename == "<string>"


@functools.cache
def _installed(file: str) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    path = Path(file).resolve()
    library = {Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "platstdlib")}
    return bool({"site-packages", "dist-packages"} & set(path.parts)) or any(top in path.parents for top in library)
