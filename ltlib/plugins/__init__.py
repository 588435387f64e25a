"""Your own components, from files and modules outside this package, in every process that needs them.

A plugin is a Python file or module that registers something: ``@losses.LOSSES.register("mine")``. ``LTLIB_PLUGINS``
names them, joined by the system's path separator or by commas; the command line, training processes and notebooks load
what it names. In a script or a notebook ``ltlib.plugins.load("mine.py")`` does the same for this process and for the
training processes it starts.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from pathlib import Path

from ltlib import places
from ltlib.errors import LtlibError, SettingError

VARIABLE = "LTLIB_PLUGINS"
_loaded: dict[str, str] = {}
_under_way: set[str] = set()


def load(*names: str | Path) -> None:
    """Import plugins, each once; without names those of ``LTLIB_PLUGINS``.

    What was loaded is also loaded in every training process that this one starts.

    Args:
        *names: A path that ends in ``.py``, or a module's dotted name.

    Raises:
        SettingError: One is not there, or cannot be imported.
    """
    for place in map(_place, map(str, names or named())):
        if place in _loaded or place in _under_way:
            continue
        _under_way.add(place)
        try:
            _loaded[place] = _import(place)
        finally:
            _under_way.discard(place)


def named() -> list[str]:
    """What ``LTLIB_PLUGINS`` names."""
    text = places.variable(VARIABLE)
    return [part.strip() for part in re.split(f"[,{re.escape(os.pathsep)}]", text) if part.strip()]


def environment() -> dict[str, str]:
    """The variable as a process with another working directory needs it; empty where nothing is loaded or named."""
    everything = dict.fromkeys([*map(_place, named()), *_loaded])
    return {VARIABLE: os.pathsep.join(everything)} if everything else {}


def how_to_load(module: str | None) -> str | None:
    """What makes another process import a module: the path of a plugin's file, a dotted name, or None where nothing
    does, as for a notebook."""
    for place, name in _loaded.items():
        if name == module:
            return place
    spec = getattr(sys.modules.get(module or ""), "__spec__", None)
    return module if spec is not None and spec.origin and module != "__main__" else None


def _place(name: str) -> str:
    return str(Path(name).expanduser().resolve()) if name.endswith(".py") else name


def _import(place: str) -> str:
    """Import one; returns the module's name."""
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place).__name__
        path = Path(place)
        if not path.is_file():
            raise SettingError(f"the plugin {place} is not there; correct its path ({VARIABLE} or ltlib.plugins.load)")
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))  # for what it imports from beside it
        name = f"ltlib_plugin_{path.stem}"
        while name in sys.modules:  # another folder's of the same name
            name += "_"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return name
    except LtlibError:
        raise
    except (Exception, SystemExit) as error:  # a script that ends its process is no plugin
        raise SettingError(f"the plugin {place} cannot be imported: {type(error).__name__}: {error}") from error
