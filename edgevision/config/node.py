"""A document as a tree that remembers where each value stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Entry", "Location", "Node", "from_object", "locate", "nodes", "plain"]


@dataclass(slots=True, eq=False)
class Node:
    """One value.

    Attributes:
        value: a scalar (str, int, float, bool, None), a list of Node, or a dict of name to Entry.
        line: line of the value, counted from 1; None if the document came from no file.
        written: the text in the file if it holds a substitution such as ``${PORT}``, else None.
        whole: True if a substitution is all of the text, so that it may stand for a number.
        refused: True if a mistake was found here already, so that no other is reported.
    """

    value: Any
    line: int | None = None
    written: str | None = None
    whole: bool = False
    refused: bool = False

    @property
    def shown(self) -> Any:
        """The value for people: as written, so that no substituted secret is seen."""
        return self.value if self.written is None else self.written


@dataclass(slots=True, eq=False)
class Entry:
    """A key of a mapping and its value.

    Attributes:
        line: line of the key.
        node: the value.
        label: what a path calls it where a short form was written out; "" leaves it out.
    """

    line: int | None
    node: Node
    label: str | None = None


@dataclass(frozen=True)
class Location:
    """Where a path leads.

    Attributes:
        node: the deepest value that exists on the way.
        line: line of the key that leads to it, or of the value in a list.
        path: the way as it is shown, such as ``cameras.door.stages[0].motion``.
        rest: what of the way does not exist.
        refused: True if a mistake was found on the way already.
    """

    node: Node
    line: int | None
    path: str
    rest: tuple[int | str, ...]
    refused: bool


def locate(root: Node, way: tuple[int | str, ...]) -> Location:
    """Follow ``way`` from ``root`` as far as it goes."""
    node, line, path = root, root.line, ""
    refused = root.refused
    for position, part in enumerate(way):
        children = node.value
        if isinstance(children, dict) and part in children:
            entry = children[part]
            node, line = entry.node, entry.line or line
            label = part if entry.label is None else entry.label
            if label:
                path = f"{path}.{label}" if path else str(label)
        elif isinstance(children, list) and isinstance(part, int) and part < len(children):
            node = children[part]
            line = node.line or line
            path = f"{path}[{part}]"
        else:
            return Location(node, line, path, way[position:], refused)
        refused = refused or node.refused
    return Location(node, line, path, (), refused)


def nodes(root: Node) -> Iterator[Node]:
    """Give ``root`` and everything below it; what an alias repeats comes once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node.value, dict):
            waiting.extend(entry.node for entry in node.value.values())
        elif isinstance(node.value, list):
            waiting.extend(node.value)


def plain(node: Node, *, shown: bool = False) -> Any:
    """Return the tree as dicts, lists and scalars; ``shown`` gives substitutions as written."""
    if isinstance(node.value, dict):
        return {name: plain(entry.node, shown=shown) for name, entry in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child, shown=shown) for child in node.value]
    return node.shown if shown else node.value


def from_object(value: Any) -> Node:
    """Return dicts, lists and scalars as a tree without lines; keys become text."""
    if isinstance(value, Mapping):
        return Node({str(name): Entry(None, from_object(item)) for name, item in value.items()})
    if isinstance(value, (list, tuple)):
        return Node([from_object(item) for item in value])
    return Node(value)
