"""Writes edgevision/cv/__init__.pyi: the table, with the types that OpenCV's own stub names.

An image may be an array or, where the row has a CUDA side, a GpuMat; the results are of the same
side. The file is written with one version of OpenCV, named in its head, and compared only there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import cv2

from edgevision.cv import detectors, filters, reference
from edgevision.cv.operation import ObjectType, Operation
from edgevision.cv.table import OPERATIONS, TYPES

__all__ = ["stub"]

_HEAD = '''"""Generated from edgevision/cv/table and the stub of OpenCV {version}.

Written by ``python -m tests.unit.cv.generate``; not edited by hand.
"""
# fmt: off
# ruff: noqa

import os
import typing
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import cv2
import cv2.typing
import numpy
from cv2.cuda import GpuMat
from numpy.typing import NDArray

from edgevision.cv.memory import clone as clone
from edgevision.cv.memory import zeros as zeros

Image: TypeAlias = NDArray[Any]
Scalar: TypeAlias = float | Sequence[float]
Size: TypeAlias = Sequence[int]
Sums: TypeAlias = tuple[float, float, float, float]
AnyImage = TypeVar("AnyImage", NDArray[Any], GpuMat)
'''

# Arguments that are arrays on either side: small matrices, tables, kernels.
_HOST = {"M", "Q", "kernel", "kernelX", "kernelY", "rowKernel", "columnKernel", "lut", "levels"}
# What OpenCV's stub asks for and OpenCV does not.
_OPTIONAL = {"mask", "kernel", "src3", "nextPts"}
_IMAGE = "cv2.typing.MatLike"
_INDENT = "    "


def stub() -> str:
    """Return the text of the stub."""
    native = _definitions(Path(cv2.__file__).with_name("__init__.pyi"))
    own: dict[str, list[ast.stmt]] = {}
    for module in (reference, filters, detectors):
        own |= _definitions(Path(str(module.__file__)))
    lines = [_HEAD.format(version=cv2.__version__)]
    for kind in TYPES.values():
        lines += _class(kind, own if kind.reference else native)
    for row in OPERATIONS.values():
        if row.name not in TYPES:
            lines += _functions(row, own if row.reference else native)
    for kind in TYPES.values():
        lines += [f"{kind.name}_{name} = {kind.name}.{name}" for name in kind.statics]
    names = sorted(["clone", "zeros", *OPERATIONS, *TYPES])
    lines += ["__all__ = [", *(f'{_INDENT}"{name}",' for name in names), "]"]
    return "\n".join(lines) + "\n"


def _definitions(path: Path) -> dict[str, list[ast.stmt]]:
    """Read the functions and classes of a module; a name has one entry for each overload."""
    found: dict[str, list[ast.stmt]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.setdefault(node.name, []).append(node)
    return found


def _functions(row: Operation, definitions: dict[str, list[ast.stmt]]) -> list[str]:
    found = [n for n in definitions.get(row.name, ()) if isinstance(n, ast.FunctionDef)]
    if not found:
        # OpenCV's stub has X_create as a class method only.
        return [f"{row.name} = {row.parsed.returns[0]}.create"]
    return list(_overloads(found, row, ""))


def _class(kind: ObjectType, definitions: dict[str, list[ast.stmt]]) -> Iterator[str]:
    yield f"class {kind.name}:"
    yield f'{_INDENT}"""{kind.summary}"""'
    rows = {row.name: row for row in kind.methods}
    for name, nodes in _methods(kind.name, definitions).items():
        if name == "__init__" and (kind.reference or kind.name not in OPERATIONS):
            continue
        if name.startswith("_") and name != "__init__":
            continue
        row = OPERATIONS.get(kind.name) if name == "__init__" else rows.get(name)
        yield from _overloads(nodes, row, _INDENT)
    create = OPERATIONS.get(f"{kind.name}_create")
    if create and kind.reference:
        node = definitions[create.name][0]
        assert isinstance(node, ast.FunctionDef)
        yield f"{_INDENT}@staticmethod"
        yield from _signature(node, create, _INDENT, name="create")


def _methods(name: str, definitions: dict[str, list[ast.stmt]]) -> dict[str, list[ast.FunctionDef]]:
    """Collect the methods of a class and of its bases."""
    found: dict[str, list[ast.FunctionDef]] = {}
    for node in definitions.get(name, ()):
        assert isinstance(node, ast.ClassDef)
        own: dict[str, list[ast.FunctionDef]] = {}
        for member in node.body:
            if isinstance(member, ast.FunctionDef):
                own.setdefault(member.name, []).append(member)
        for base in node.bases:
            if isinstance(base, ast.Name):
                found |= _methods(base.id, definitions)
        found |= own
    return found


def _overloads(nodes: list[ast.FunctionDef], row: Operation | None, indent: str) -> Iterator[str]:
    """Write a function; the forms that take a UMat or a list of images for one are left out."""
    kept = [node for node in nodes if "UMat" not in ast.unparse(node.args)]
    for node in kept:
        for decorator in node.decorator_list:
            name = ast.unparse(decorator)
            if name in ("classmethod", "staticmethod", "property"):
                yield f"{indent}@{name}"
        if len(kept) > 1:
            yield f"{indent}@typing.overload"
        yield from _signature(node, row, indent)


def _signature(
    node: ast.FunctionDef, row: Operation | None, indent: str, name: str = ""
) -> Iterator[str]:
    image = "AnyImage" if row is not None and row.cuda else "Image"
    parameters = []
    arguments = node.args.args
    first_default = len(arguments) - len(node.args.defaults)
    for index, argument in enumerate(arguments):
        if argument.annotation is None:
            parameters.append(argument.arg)
            continue
        side = "Image" if argument.arg in _HOST else image
        text = _annotation(argument.annotation, side)
        if row is not None and argument.arg in row.scalars:
            text += " | Scalar"
        results = row.pooled if row is not None else ()
        if (argument.arg in _OPTIONAL or argument.arg in results) and "None" not in text:
            text += " | None"
        parameters.append(f"{argument.arg}: {text}{' = ...' if index >= first_default else ''}")
    returns = _annotation(node.returns, image) if node.returns else "None"
    if not row or not row.parsed.returns or row.parsed.returns[0] in TYPES:
        returns = returns.removeprefix("cv2.") if returns.removeprefix("cv2.") in TYPES else returns
    head = ", ".join(parameters)
    if (head + returns).count("AnyImage") == 1:
        head = head.replace("AnyImage", "Image | GpuMat")
        returns = returns.replace("AnyImage", "Image")
    if "AnyImage" in returns and "AnyImage" not in head:
        returns = returns.replace("AnyImage", "Image")
    text = f"{indent}def {name or node.name}({head}) -> {returns}:"
    if row is None:
        yield f"{text} ..."
    else:
        yield text
        yield f'{indent}{_INDENT}"""{row.summary}"""'


def _annotation(node: ast.expr, image: str) -> str:
    text = ast.unparse(_Qualified().visit(ast.parse(ast.unparse(node), mode="eval")).body)
    return text.replace(_IMAGE, image)


class _Qualified(ast.NodeTransformer):
    """Puts cv2 before the names that OpenCV's stub defines itself."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, str):
            inner: ast.expr = self.visit(ast.parse(node.value, mode="eval")).body
            return inner
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        text = ast.unparse(node).replace("_typing.", "typing.")
        if text.split(".")[0] not in ("cv2", "typing", "numpy", "os"):
            text = f"cv2.{text}"
        return ast.parse(text, mode="eval").body

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id == "Image":
            return ast.parse(_IMAGE, mode="eval").body
        known = {"int", "float", "bool", "str", "tuple", "None", "Any", "Sequence"}
        if node.id in known | {"Scalar", "Size", "Sums"} or node.id in TYPES:
            return node
        return ast.parse(f"cv2.{node.id}", mode="eval").body
