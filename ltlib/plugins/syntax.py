"""What a function's source means, found from its code: comments, docstrings, layout and annotations do not count."""

from __future__ import annotations
import __future__

import ast
import dis
import linecache
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

_FUTURES = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})
_MUTATING = frozenset(
    ("append", "add", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update")
)


class NoSource(Exception):
    """There is no source for some code, or another one than it was compiled from; the message says which."""


@dataclass(frozen=True)
class Meaning:
    """A function's own source.

    Attributes:
        tree: Its syntax as nested lists, without default values and decorators: those are read from the living object.
        names: Global names it reads, in alphabetical order, but not those it writes to: a counter or a cache is no
            constant.
        chains: Of each such name the attributes read from it, ``helpers.tables.ONE``; empty where it is used bare.
        imports: Modules it imports when it runs: name, and how many levels up a relative one begins.
    """

    tree: Any
    names: tuple[str, ...]
    chains: Mapping[str, frozenset[tuple[str, ...]]]
    imports: tuple[tuple[str, int], ...]


_KNOWN: dict[CodeType, Meaning] = {}


def meaning(code: CodeType, namespace: dict[str, Any]) -> Meaning:
    """What some code means, by the source it was compiled from.

    Args:
        code: Of a function, method or lambda.
        namespace: Its globals.

    Raises:
        NoSource: There is none, or the file has changed since.
    """
    if code not in _KNOWN:
        _KNOWN[code] = _meaning(code, _node(code, namespace))
    return _KNOWN[code]


def of_text(text: str) -> Any:
    """A whole module's syntax as nested lists."""
    return _plain(_parsed(text))


def _node(code: CodeType, namespace: dict[str, Any]) -> ast.AST:
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, namespace))
    if not text:
        raise NoSource(f"{code.co_name} has no source that can be read")
    try:
        found = [node for node in ast.walk(_parsed(text)) if _stands_at(node, code)]
        rewritten = "@pytest_ar" in namespace  # pytest compiles its assertions in
        if not found or not (rewritten or code in _codes(text, code.co_filename, code.co_flags & _FUTURES)):
            raise NoSource(f"{code.co_name} has another source now than when it was imported")
    except SyntaxError as error:
        raise NoSource(f"the source of {code.co_name} is not Python any more") from error
    return found[-1]  # of lambdas in one another the innermost


def _stands_at(node: ast.AST, code: CodeType) -> bool:
    """Whether a piece of syntax is what some code was compiled from, by name and place."""
    if isinstance(node, ast.Lambda):
        if code.co_name != "<lambda>" or node.lineno > code.co_firstlineno:
            return False
        places = [place for place in code.co_positions() if None not in place and place[3]]
        return bool(places) and all(
            (node.body.lineno, node.body.col_offset) <= (line, start)
            and (stop, end) <= (node.body.end_lineno, node.body.end_col_offset)
            for line, stop, start, end in places
        )
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    first = min((decorator.lineno for decorator in node.decorator_list), default=node.lineno)
    return node.name == code.co_name and first == code.co_firstlineno


@lru_cache(maxsize=64)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@lru_cache(maxsize=64)
def _codes(text: str, filename: str, flags: int) -> frozenset[CodeType]:
    """Every piece of code of a text, compiled anew: as a file is, and statement by statement as a notebook's cell is.

    They may differ: the compiler treats names that are imported in the same unit in a way of its own.
    """
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = _parsed(text)
    units = [tree, *(ast.Module([statement], []) for statement in tree.body)]
    compiled = (compile(unit, filename, "exec", flags, dont_inherit=True) for unit in units)
    return frozenset(code for top in compiled for code in _inside(top))


def _inside(code: CodeType) -> Iterator[CodeType]:
    """Some code and all that is nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _inside(constant)


def _meaning(code: CodeType, node: ast.AST) -> Meaning:
    read = {
        instruction.argval
        for part in _inside(code)
        for instruction in dis.get_instructions(part)
        if instruction.opname.startswith("LOAD_") and ("GLOBAL" in instruction.opname or "NAME" in instruction.opname)
    }
    chains: dict[str, set[tuple[str, ...]]] = {}
    imports: set[tuple[str, int]] = set()
    inner: set[int] = set()
    for part in ast.walk(node):  # from the outside: a longer chain comes before its parts
        if isinstance(part, ast.Attribute) and id(part) not in inner:
            chain, base = [part.attr], part.value
            while isinstance(base, ast.Attribute):
                inner.add(id(base))
                chain, base = [base.attr, *chain], base.value
            if isinstance(base, ast.Name):
                inner.add(id(base))
                chains.setdefault(base.id, set()).add(tuple(chain))
        elif isinstance(part, ast.Name) and id(part) not in inner:
            chains.setdefault(part.id, set()).add(())
        elif isinstance(part, ast.Import):
            imports |= {(alias.name, 0) for alias in part.names}
        elif isinstance(part, ast.ImportFrom):
            imports.add((part.module or "", part.level))
    names = tuple(sorted(read - _written(node)))
    bare = {name: frozenset() if () in chains.get(name, {()}) else frozenset(chains[name]) for name in names}
    return Meaning(_own(node), names, bare, tuple(sorted(imports)))


def _written(node: ast.AST) -> set[str]:
    """Names of outer variables that a function changes: they hold its state."""
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.Global, ast.Nonlocal)):
            found |= set(part.names)
        elif isinstance(part, (ast.Attribute, ast.Subscript)) and not isinstance(part.ctx, ast.Load):
            found |= {_root(part)}
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in _MUTATING:
            found |= {_root(part.func)}
    return found - {""}


def _root(node: ast.AST) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _own(node: ast.AST) -> Any:
    """A function's syntax without what stands outside it: decorators and default values."""
    if isinstance(node, ast.Lambda):
        return ["Lambda", _names(node.args), _plain(node.body)]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    return [type(node).__name__, _names(node.args), _plain(_statements(node.body))]


def _names(arguments: ast.arguments) -> list[Any]:
    kinds = (arguments.posonlyargs, arguments.args, arguments.kwonlyargs)
    rest = (arguments.vararg, arguments.kwarg)
    return [[argument.arg for argument in some] for some in kinds] + [one.arg if one else None for one in rest]


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """Without texts that stand alone: docstrings, and what is written like them."""
    said = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return said or [ast.Pass()]


def _plain(node: Any) -> Any:
    """Syntax as nested lists, in a form that does not depend on Python's version."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    if isinstance(node, ast.Constant):
        return ["Constant", type(node.value).__name__, repr(node.value)]
    parts = []
    for name, value in ast.iter_fields(node):
        hint = name == "returns" or (name == "annotation" and isinstance(node, ast.arg))
        if value is None or value == [] or hint or name in ("ctx", "type_comment"):
            continue
        if name == "body" and isinstance(value, list):
            value = _statements(value)
        parts.append([name, _plain(value)])
    return [type(node).__name__, *parts]
