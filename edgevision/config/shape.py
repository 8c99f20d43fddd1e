"""Write out the short forms of a pipeline, so that the models need to know one form only."""

from __future__ import annotations

from typing import Any

from edgevision.config.node import Entry, Node, plain
from edgevision.config.problems import Problems
from edgevision.config.wording import shown

__all__ = ["write_out"]

_CAMERA_FORMS = "a source, such as {name}: \"webcam:0\", or a mapping with 'source'"
_STAGE_FORMS = "a name, {name: {parameter: value}}, or {use: name, params: {...}, on_error: ...}"


def write_out(root: Node, problems: Problems) -> Node:
    """Return the document with every short form written out; ``root`` is left as it is.

    Args:
        root: the document. What has a wrong shape is left for the models to refuse.
        problems: takes what is neither a short form nor a long one.
    """
    shape = _Shape(root, problems)
    if not isinstance(root.value, dict):
        return root
    entries = {name: e for name, e in root.value.items() if not name.startswith("x-")}
    _replace(entries, "cameras", lambda node: shape.cameras(node))
    _replace(entries, "stages", lambda node: shape.stages(node, ("stages",)))
    _replace(entries, "upstream", lambda node: shape.upstreams(node))
    if "web" in entries and entries["web"].node.value is False:
        entries["web"] = Entry(entries["web"].line, Node(None, entries["web"].node.line))
    return Node(entries, root.line)


def _replace(entries: dict[str, Entry], name: str, change: Any) -> None:
    if name in entries:
        old = entries[name]
        entries[name] = Entry(old.line, change(old.node), old.label)


class _Shape:
    def __init__(self, root: Node, problems: Problems) -> None:
        self._root = root
        self._problems = problems

    def cameras(self, node: Node) -> Node:
        if not isinstance(node.value, dict):
            return node
        return Node(
            {
                name: Entry(entry.line, self._camera(entry.node, name), entry.label)
                for name, entry in node.value.items()
            },
            node.line,
        )

    def stages(self, node: Node, way: tuple[int | str, ...]) -> Node:
        if not isinstance(node.value, list):
            return node
        written = [self._stage(child, (*way, i)) for i, child in enumerate(node.value)]
        return Node(written, node.line)

    def upstreams(self, node: Node) -> Node:
        if not isinstance(node.value, list):
            return node
        return Node([self._upstream(child) for child in node.value], node.line)

    def _camera(self, node: Node, name: str) -> Node:
        if isinstance(node.value, str):
            source = Node({"uri": Entry(node.line, node, "")}, node.line)
            return Node({"source": Entry(node.line, source, "")}, node.line)
        if not isinstance(node.value, dict):
            wanted = _CAMERA_FORMS.format(name=name)
            return self._refuse(node, ("cameras", name), f"a camera is {wanted}{_index_hint(node)}")
        entries = dict(node.value)
        way = ("cameras", name)
        _replace(entries, "source", lambda source: self._source(source, (*way, "source")))
        _replace(entries, "stages", lambda stages: self.stages(stages, (*way, "stages")))
        return Node(entries, node.line)

    def _source(self, node: Node, way: tuple[int | str, ...]) -> Node:
        if isinstance(node.value, str):
            return Node({"uri": Entry(node.line, node, "")}, node.line)
        if isinstance(node.value, dict):
            return node
        hint = _index_hint(node)
        return self._refuse(
            node, way, f"a source is an address, such as webcam:0, or a mapping with 'uri'{hint}"
        )

    def _refuse(self, node: Node, way: tuple[int | str, ...], message: str) -> Node:
        self._problems.add_at(self._root, way, message)
        return Node(node.value, node.line, refused=True)

    def _stage(self, node: Node, way: tuple[int | str, ...]) -> Node:
        if isinstance(node.value, str):
            return Node({"use": Entry(node.line, node, "")}, node.line)
        if not isinstance(node.value, dict):
            return self._refuse(node, way, f"a stage is {_STAGE_FORMS}, got {shown(plain(node))}")
        if "use" in node.value:
            return node
        if len(node.value) == 1:
            ((name, entry),) = node.value.items()
            written = {"use": Entry(entry.line, Node(name, entry.line), "")}
            if entry.node.value is not None:
                written["params"] = Entry(entry.line, entry.node, name)
            return Node(written, node.line)
        first = next(iter(node.value.values()), None)
        names = ", ".join(node.value) or "nothing"
        hint = ""
        if first is not None and first.node.value is None:
            hint = f"; indent the parameters of {next(iter(node.value))} further than its name"
        self._problems.add_at(self._root, way, f"a stage is {_STAGE_FORMS}; this has {names}{hint}")
        return Node(node.value, node.line, refused=True)

    @staticmethod
    def _upstream(node: Node) -> Node:
        if isinstance(node.value, str):
            return _named_upstream(node)
        if isinstance(node.value, dict) and "type" not in node.value and len(node.value) == 1:
            ((name, entry),) = node.value.items()
            kind = Entry(entry.line, Node(name, entry.line), "")
            if entry.node.value is None:
                return Node({"type": kind}, node.line)
            if isinstance(entry.node.value, dict):
                inside = {
                    key: Entry(e.line, e.node, f"{name}.{key}")
                    for key, e in entry.node.value.items()
                }
                return Node({"type": kind, **inside}, node.line)
        return node


def _index_hint(node: Node) -> str:
    """OpenCV numbers cameras; here a number alone is none."""
    value = node.value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"; did you mean 'webcam:{value}'?"
    return f", got {shown(plain(node))}"


def _named_upstream(node: Node) -> Node:
    """Write out ``console`` or ``jsonl:results.jsonl``."""
    from edgevision.upstream.registry import upstream_kinds

    name, colon, argument = node.value.partition(":")
    entries = {"type": Entry(node.line, Node(name, node.line), "")}
    kind = upstream_kinds().get(name)
    if colon and kind is not None:
        key = kind.argument or "argument"
        entries[key] = Entry(node.line, Node(argument, node.line, node.written), "")
    return Node(entries, node.line)
