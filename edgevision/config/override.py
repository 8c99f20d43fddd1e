"""Change a pipeline from the command line: another source, another parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgevision.config.node import Entry, Node, from_object
from edgevision.config.problems import Problems
from edgevision.suggestion import did_you_mean

__all__ = ["Override"]


@dataclass(frozen=True)
class Override:
    """What replaces parts of a document, before it is checked.

    Attributes:
        sources: address by camera; "" stands for the only camera.
        params: value by stage and parameter. The stage is called by its name, or, where it has
            none, by the built-in name or the class name in lower case.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[tuple[str, str], Any] = field(default_factory=dict)

    def apply(self, root: Node, problems: Problems) -> None:
        """Change the tree ``root``, short forms written out, in place."""
        cameras = _mapping(root, "cameras")
        for camera, address in self.sources.items():
            name = camera or (next(iter(cameras)) if len(cameras) == 1 else "")
            if name in cameras and isinstance(cameras[name].node.value, dict):
                uri = Node({"uri": Entry(None, Node(address), "")})
                cameras[name].node.value["source"] = Entry(None, uri, "source (--source)")
            elif not camera:
                problems.add(f"which camera? (there are: {', '.join(cameras)})", path="--source")
            else:
                hint = did_you_mean(name, cameras)
                known = ", ".join(cameras) or "none"
                problems.add(f"there is no camera {name!r}{hint} (there are: {known})")
        stages = _stages(root)
        for (stage, param), value in self.params.items():
            chosen = [node for names, node in stages if stage in names]
            for node in chosen:
                _set(node, param, value)
            if not chosen:
                names = list(dict.fromkeys(names[0] for names, _ in stages))
                problems.add(
                    f"there is no stage {stage!r}{did_you_mean(stage, names)} "
                    f"(there are: {', '.join(names) or 'none'})",
                    path=f"--set {stage}.{param}",
                )


def _set(stage: Node, param: str, value: Any) -> None:
    params = _mapping(stage, "params")
    # A new mapping, since an anchor may have brought the old one into other stages.
    entry = stage.value.get("params")
    written = {**params, param: Entry(None, from_object(value), f"{param} (--set)")}
    line = entry.line if entry else stage.line
    label = entry.label if entry else ""
    stage.value["params"] = Entry(line, Node(written, line), label)


def _mapping(node: Node, name: str) -> dict[str, Entry]:
    entry = node.value.get(name) if isinstance(node.value, dict) else None
    found: dict[str, Entry] = {}
    return entry.node.value if entry and isinstance(entry.node.value, dict) else found


def _stages(root: Node) -> list[tuple[list[str], Node]]:
    """Return every stage of the document with what it may be called, the usual name first."""
    lists = [root, *(entry.node for entry in _mapping(root, "cameras").values())]
    found = []
    for owner in lists:
        entry = owner.value.get("stages") if isinstance(owner.value, dict) else None
        for node in entry.node.value if entry and isinstance(entry.node.value, list) else ():
            names = _names(node)
            if names:
                found.append((names, node))
    return found


def _names(stage: Node) -> list[str]:
    if not isinstance(stage.value, dict) or "use" not in stage.value:
        return []
    use, given = stage.value["use"].node.value, stage.value.get("name")
    if given is not None and isinstance(given.node.value, str):
        return [given.node.value]
    return [use.rpartition(":")[2].lower(), use] if isinstance(use, str) else []
