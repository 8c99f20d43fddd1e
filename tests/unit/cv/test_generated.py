"""What is generated from the table is what lies in the repository."""

from __future__ import annotations

import ast

import cv2

from edgevision import cv
from tests.unit.cv.generate import PAGE, STUB
from tests.unit.cv.page import page
from tests.unit.cv.stub import stub

_AGAIN = "run: python -m tests.unit.cv.generate"


def test_the_reference_page_is_the_tables() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), _AGAIN


def test_the_stub_is_the_tables() -> None:
    text = STUB.read_text(encoding="utf-8")
    if f"OpenCV {cv2.__version__}." not in text.splitlines()[0]:
        # It names OpenCV's own types, so only the version it was written with gives the same text.
        assert "OpenCV 4." in text.splitlines()[0]
        return
    assert text == stub(), _AGAIN


def test_the_stub_names_what_the_module_has() -> None:
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    named = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    imported = {
        alias.asname
        for n in tree.body
        if isinstance(n, ast.ImportFrom)
        for alias in n.names
        if alias.asname
    }
    aliases = {
        target.id
        for n in tree.body
        if isinstance(n, ast.Assign)
        for target in n.targets
        if isinstance(target, ast.Name) and "_" in target.id.strip("_")
    }
    assert named | imported | aliases >= set(cv.__all__)
    assert named <= set(cv.__all__)
    for name in aliases:
        assert hasattr(cv, name)
