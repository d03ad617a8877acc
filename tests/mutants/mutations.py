"""The mutants of a module, by the operators of mutmut, each as a source that differs in one place.

As in mutmut, what functions do is changed. Types, decorators, defaults and the words of messages
are left as they are.
"""

from __future__ import annotations

import difflib
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import libcst as cst
from libcst import matchers
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Mutant", "functions_of", "mutants_of"]

LEFT_AS_IT_IS: Final = (
    matchers.Annotation()
    | matchers.Parameters()
    | matchers.Decorator()
    | matchers.Raise()
    | matchers.Import()
    | matchers.ImportFrom()
    | matchers.If(test=matchers.Name("TYPE_CHECKING"))
    | matchers.AnnAssign(annotation=matchers.Annotation(matchers.Name("TypeAlias")))
    | matchers.Assign(targets=[matchers.AssignTarget(matchers.Name("msg"))])
    | matchers.Assign(value=matchers.Call(func=matchers.Name("TypeVar")))
    | matchers.Call(func=matchers.Name("cast"))
    | matchers.SimpleString(value='"latin-1"')  # codecs have these names in any case
    | matchers.SimpleString(value='"utf-8"')
)


@dataclass(frozen=True)
class Mutant:
    rule: str
    source: str
    lines: range
    """Where the change stands."""
    function: str
    """The function or method, with its class."""
    diff: str
    """The lines that differ, of the rule and of the mutant, without their indentation."""


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, range, str]] = []
        self._names: list[str] = []
        self._functions = 0

    def on_visit(self, node: cst.CSTNode) -> bool:
        if matchers.matches(node, LEFT_AS_IT_IS):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._functions += isinstance(node, cst.FunctionDef)
            if self._functions + isinstance(node, cst.ClassDef) <= 1:
                self._names.append(node.name.value)
        for kind, operator in mutation_operators:
            if self._functions and isinstance(node, kind):
                where = self.get_metadata(PositionProvider, node, None)
                if isinstance(where, CodeRange):
                    lines = range(where.start.line, where.end.line + 1)
                    name = ".".join(self._names)
                    self.found += [(node, changed, lines, name) for changed in operator(node)]
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            if self._functions + isinstance(original_node, cst.ClassDef) <= 1:
                self._names.pop()
            self._functions -= isinstance(original_node, cst.FunctionDef)


def functions_of(code: types.CodeType) -> Iterator[types.CodeType]:
    """The functions and methods of a compiled module; those inside of them are parts of them."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if constant.co_flags & 1:  # CO_OPTIMIZED: a function, no class
                yield constant
            else:
                yield from functions_of(constant)


def mutants_of(rule: str, source: str) -> Iterator[Mutant]:
    """All that can be compiled and differ from the source and from each other when compiled."""
    module, finder = MetadataWrapper(cst.parse_module(source)), _Finder()
    module.visit(finder)
    original = compile(source, "rule", "exec")
    seen = {original}
    for node, changed, lines, name in finder.found:
        try:
            mutated = cst.ensure_type(module.module.deep_replace(node, changed), cst.Module).code
            code = compile(mutated, "rule", "exec")
        except (SyntaxError, cst.CSTValidationError):
            continue
        if code in seen:
            continue
        seen.add(code)
        yield Mutant(rule, mutated, lines, name, _diff(source, mutated))


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in changed)
