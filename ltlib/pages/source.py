"""A source read in one walk: what it means, and what it uses of a package."""

from __future__ import annotations

import ast
from typing import Any

from ltlib import files

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_FOR_TYPE_CHECKERS = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


class Source:
    """One source, read.

    Comments, layout, docstrings and what stands in a block for type checkers mean nothing.

    Attributes:
        digest: SHA-256 of its meaning.
        uses: Dotted names, each a module or a name in one: ``ltlib.plots.bars.accuracies``. A name that is imported
            and stands only in annotations is not used; one that stands nowhere is, for the import itself.
        later: Names that a block for type checkers imports, each with its dotted name: where a package that loads
            them when they are first asked for says that they lie.
    """

    def __init__(self, tree: ast.Module, package: str, inside: str = "", summaries: bool = False):
        """Read a source.

        Args:
            tree: The source.
            package: Name of the package whose use is looked for.
            inside: The package that relative imports start from.
            summaries: Whether the first line of a docstring at the top level means something, as it does where a
                registry shows it.
        """
        self._package, self._inside, self._summaries = package, inside, summaries
        self._text: list[str] = []
        self._bound: dict[str, set[tuple[str, str]]] = {}  # the name of an import: what it stands for, what it imports
        self._asked: dict[str, set[str]] = {}  # a name: the attributes asked of it
        self._annotated: set[str] = set()
        self._in_annotation = False
        self.later: dict[str, str] = {}
        self._read(tree, 0)
        self.digest = files.digest(" ".join(self._text))
        self.uses = frozenset(self._found())

    def _found(self) -> set[str]:
        found = set()
        for name, targets in self._bound.items():
            for target, imported in targets:
                if name in self._asked:
                    found |= {f"{target}{attributes}" for attributes in self._asked[name]}
                elif name not in self._annotated:
                    found.add(imported)
        return found

    def _read(self, node: ast.AST, depth: int) -> None:
        kind = node.__class__
        if kind is ast.Attribute or kind is ast.Name:
            self._name(node, depth)  # type: ignore[arg-type]
            return
        if kind is ast.If and self._for_type_checkers(node):  # type: ignore[arg-type]
            return
        if kind is ast.Import:
            self._import(node)  # type: ignore[arg-type]
        elif kind is ast.ImportFrom:
            for name, target in self._imported(node).items():  # type: ignore[arg-type]
                self._bound.setdefault(name, set()).add((target, target))
        self._text.append(kind.__name__)
        for field in node._fields:
            value: Any = getattr(node, field, None)
            if field in ("annotation", "returns") and value is not None:
                before, self._in_annotation = self._in_annotation, True
                self._read(value, depth + 1)
                self._in_annotation = before
            elif field == "body" and kind in _DOCUMENTED:
                self._value(self._undocumented(value, depth), depth)
            else:
                self._value(value, depth)
        self._text.append(";")

    def _value(self, value: Any, depth: int) -> None:
        if isinstance(value, ast.AST):
            self._read(value, depth + 1)
        elif isinstance(value, list):
            self._text.append("[")
            for item in value:
                self._value(item, depth)
            self._text.append("]")
        else:
            self._text.append(repr(value))

    def _undocumented(self, body: list[ast.stmt], depth: int) -> list[ast.stmt]:
        """A body without its docstring."""
        first = body[0] if body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            if self._summaries and depth == 1:
                self._text.append(repr(first.value.value.strip().split("\n")[0]))
            return body[1:]
        return body

    def _name(self, node: ast.Attribute | ast.Name, depth: int) -> None:
        """A name with the attributes asked of it, or the attribute of some other expression."""
        attributes, inner = "", node
        while isinstance(inner, ast.Attribute):
            attributes, inner = f".{inner.attr}{attributes}", inner.value  # type: ignore[assignment]
        self._text.append(f"{node.ctx.__class__.__name__} {attributes}")
        if not isinstance(inner, ast.Name):
            self._read(inner, depth + 1)
            return
        self._text.append(inner.id)
        if self._in_annotation:
            self._annotated.add(inner.id)
        elif isinstance(inner.ctx, ast.Load):
            self._asked.setdefault(inner.id, set()).add(attributes)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] == self._package:
                name, target = (alias.asname, alias.name) if alias.asname else (self._package, self._package)
                self._bound.setdefault(name, set()).add((target, alias.name))

    def _imported(self, node: ast.ImportFrom) -> dict[str, str]:
        """The names an import binds, each with its dotted name; those of other packages are left out."""
        base = node.module or ""
        if node.level:
            above = self._inside.split(".")
            base = ".".join([*above[: len(above) - node.level + 1], *([node.module] if node.module else [])])
        if base.split(".")[0] != self._package:
            return {}
        return {
            alias.asname or alias.name: base if alias.name == "*" else f"{base}.{alias.name}" for alias in node.names
        }

    def _for_type_checkers(self, node: ast.If) -> bool:
        if not isinstance(node.test, (ast.Name, ast.Attribute)) or ast.unparse(node.test) not in _FOR_TYPE_CHECKERS:
            return False
        for statement in node.body:
            if isinstance(statement, ast.ImportFrom):
                self.later |= self._imported(statement)
        for statement in node.orelse:
            self._read(statement, 1)
        return True
