"""Pages of the documentation, made from the table of platforms.

``python -m edgevision.deploy.pages FOLDER`` writes them; a test compares them with what is there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edgevision.deploy import platforms
from edgevision.deploy.facts import MODES, Fact, TableModel
from edgevision.deploy.platforms import Platform

__all__ = ["pages"]

_HEAD = "Made from edgevision/deploy/platforms.yaml by `python -m edgevision.deploy.pages docs`."


def pages() -> dict[str, str]:
    """Return each page by its path below ``docs/``."""
    found = {"platforms.md": _index()}
    for row in platforms.rows():
        found[f"platforms/{row.id}.md"] = _page(row)
    return found


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _index() -> str:
    own = platforms.load()
    rows = [
        [
            f"[{row.id}](platforms/{row.id}.md)",
            row.name,
            row.l4t or "-",
            row.release.cuda.version.value,
            ", ".join(row.sm),
            row.opencv_version,
            row.release.ubuntu.value,
            ", ".join(row.modes),
        ]
        for row in own.rows()
    ]
    families = [
        [name, family.name, ", ".join(family.members)]
        for name, family in own.table.families.items()
    ]
    sources = [[key, meaning] for key, meaning in own.table.sources.items()]
    head = ["platform", "board", "L4T", "CUDA", "sm", "OpenCV", "Ubuntu", "GPU by"]
    return (
        f"# Platforms\n\n{_HEAD}\n\n"
        "None of them was run on its device yet. Each page says of every value who says so, or why "
        "it is\nbelieved. How images are made from them: [images](images.md).\n\n"
        f"{_table(head, rows)}\n"
        "## Families\n\nOne name, and one image, for rows that differ in nothing but the board.\n\n"
        f"{_table(['family', 'boards', 'rows'], families)}\n"
        f"## Sources\n\n{_table(['key', 'what it is'], sources)}"
    )


def _page(row: Platform) -> str:
    facts = [
        [
            path,
            _shown(fact.value),
            f"sourced: {fact.sourced}" if fact.sourced else f"inferred: {fact.inferred}",
        ]
        for path, fact in _facts(row.release, "", (row.soc, row.arch))
    ]
    devices = row.devices
    mark = f"sourced: {devices.sourced}" if devices.sourced else f"inferred: {devices.inferred}"
    kind = "A host may lack some of them. " if devices.superset else ""
    note = f"{devices.note[0].upper()}{devices.note[1:]}. " if devices.note else ""
    nodes = "\n".join(f"- `{node}`" for node in devices.nodes)
    modes = [
        [name, "yes" if row.mode(name).value else "no", _why(row.mode(name))] for name in MODES
    ]
    sizes = [[layer, str(size)] for layer, size in row.size_mb.items()]
    head = [
        ["board", row.name],
        ["chip", row.soc],
        ["GPU", f"sm {', '.join(row.sm)}"],
        ["images", f"`{row.docker_platform}`, `{row.tag}`"],
        ["begins with", f"`{row.base_image}`"],
        ["groups", ", ".join(row.groups) or "none"],
    ]
    return (
        f"# {row.id}\n\n{_HEAD}\n\n{_table(['', ''], head)}\n"
        f"## GPU\n\n{_table(['way', 'open', 'why'], modes)}\n"
        f"## Device nodes\n\n{kind}{note}{mark[0].upper()}{mark[1:]}.\n\n{nodes}\n\n"
        f"## Size budget\n\nEach image with all below it.\n\n{_table(['image', 'MB'], sizes)}\n"
        f"## Facts\n\n{_table(['what', 'value', 'from'], facts)}"
    )


def _why(fact: Fact[bool]) -> str:
    return f"sourced: {fact.sourced}" if fact.sourced else f"inferred: {fact.inferred}"


def _facts(model: TableModel, path: str, keys: tuple[str, str]) -> list[tuple[str, Fact[Any]]]:
    """Return what a release says for one chip and architecture, by path."""
    found: list[tuple[str, Fact[Any]]] = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        where = f"{path}.{name}" if path else name
        if isinstance(value, Fact):
            found.append((where, value))
        elif isinstance(value, TableModel):
            found += _facts(value, where, keys)
        elif isinstance(value, dict):
            found += [(where, fact) for key, fact in value.items() if key in keys]
    skipped = ("modes.", "groups", "size_mb")
    return [(where, fact) for where, fact in found if not where.startswith(skipped)]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "<br>".join(_shown(entry) for entry in value) or "none"
    if isinstance(value, TableModel):
        fields = value.model_dump(exclude_none=True)
        return ", ".join(f"{name}: {text}" for name, text in fields.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).replace("|", "\\|")


def main() -> int:
    """Write the pages into the folder that the command line names."""
    if len(sys.argv) != 2:
        print("usage: python -m edgevision.deploy.pages FOLDER", file=sys.stderr)
        return 2
    for name, text in pages().items():
        path = Path(sys.argv[1], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
