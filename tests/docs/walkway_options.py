"""The synthetic camera's options in docs/sources.md, made from its signature and docstring.

``python -m tests.docs.walkway_options`` writes them into the page.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from edgevision.sources.option import Bounds
from edgevision.sources.synthetic import SyntheticSource

__all__ = ["PAGE", "with_options"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sources.md"

_MARKED = re.compile(r"(?P<begin><!-- synthetic options -->\n).*?(?=<!-- end -->)", re.DOTALL)


def with_options(page: str) -> str:
    """Return the text of a page with its table as it should be."""
    return _MARKED.sub(lambda match: match["begin"] + _table(), page)


def _table() -> str:
    hints = get_type_hints(SyntheticSource.__init__, include_extras=True)
    about = _arguments()
    rows = ["| option | value | default | |", "| --- | --- | --- | --- |"]
    for name, parameter in inspect.signature(SyntheticSource).parameters.items():
        value, default = _describe(hints[name]), parameter.default
        shown = "" if default is None else f"`{str(default).lower()}`"
        rows.append(f"| `{name}` | {value} | {shown} | {about[name]} |")
    return "\n".join(rows) + "\n"


def _arguments() -> dict[str, str]:
    """Return what the class's docstring says of each argument."""
    text = inspect.cleandoc(SyntheticSource.__doc__ or "")
    section = text.partition("Args:\n")[2].partition("\n\n")[0]
    pairs = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.M)
    return {name: " ".join(words.split()).rstrip(".") for name, words in pairs}


def _describe(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (choice for choice in get_args(kind) if choice is not NoneType)
    bounds = ""
    if get_origin(kind) is Annotated:
        kind, *extras = get_args(kind)
        (limit,) = (extra for extra in extras if isinstance(extra, Bounds))
        bounds = f", {limit.smallest:.10g} to {limit.largest:.10g}"
        if limit.largest >= 1e9:
            bounds = f", at least {limit.smallest:.10g}"
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    return f"{kind.__name__}{bounds}"


if __name__ == "__main__":
    PAGE.write_text(with_options(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
