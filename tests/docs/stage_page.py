"""docs/stages.md, made from the stages themselves.

``python -m tests.docs.stage_page`` writes the page. What ``tests/benchmarks/stages_quality.py`` has
measured stays in it; that script writes its own table.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from edgevision import stages
from edgevision.param import ParamSpec

__all__ = ["MEASURED", "PAGE", "page", "with_measured"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "stages.md"
MEASURED = re.compile(r"(?P<begin><!-- measured -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""The part of the page that is measured and not made."""

# One line of pipeline.yaml for each stage, and what its picture shows.
EXAMPLES = {
    "resize": ("resize: {width: 320}", "the picture at three sizes"),
    "roi": (
        "roi: {polygon: [[0.05, 0.28], [0.9, 0.28], [0.98, 0.98], [0.3, 0.98]]}",
        "all outside of the polygon is black",
    ),
    "motion": ("motion: {min_area: 300}", "a box around each person who walks"),
    "people": ("people: {min_height: 90}", "people with the detector's confidence"),
    "detect": (
        "detect: {model: yolo11n.onnx, classes: [person], confidence: 0.4}",
        "a network finds three coloured squares",
    ),
    "faces": ("faces: {min_size: 50}", "faces that look into the camera"),
    "codes": ("codes: {dictionary: 4x4_50}", "QR codes and ArUco markers with what they say"),
    "edges": ("edges: {low: 50, high: 120}", "the picture's outlines"),
    "flow": ("flow: {method: farneback, draw: true}", "colour is direction, brightness is speed"),
    "blur": ("blur: {labels: [face], hold: 15}", "faces that nobody recognises"),
    "tamper": ("tamper: {confirm: 15}", "usual, covered, defocused, turned"),
}

_INTRODUCTION = """\
# Built-in stages

All but `detect` need no model file. In `pipeline.yaml` a stage is called by its name:

```yaml
stages:
  - resize: {width: 640}
  - motion: {min_area: 300}
  - blur: {labels: [motion]}
```

In Python they are classes: `from edgevision.stages import Motion`. `edgevision stages` lists them,
`edgevision run --source webcam:0 --stage motion` tries one. Lengths in pixels count in the picture
as it reaches the stage. Parameters change while a camera runs; those marked *restart* restart its
stages.

The pictures come from the synthetic camera (`synthetic:`), which knows what is really there.

"""

_QUALITY = """\
## How good they are

Precision is the share of the detections that are right, recall the share of the things that were
found, both counted on the synthetic walkway over five seeds. A box is right when it shares half of
its union with the true one (people, faces, codes; of codes the text must be right, too) or when
half of it is covered by what moves (motion, flow). What shows less than half of itself counts
neither way. Of `tamper` frames are counted, from 1.5 s after each change. Real scenes are harder,
so read the numbers as a comparison.

The times are those of one machine, picture size 640x480 (`tamper`: 320x240).
`python3 dev.py bench stages_quality` measures again.

<!-- measured -->
<!-- end -->
"""


def page(before: str = "") -> str:
    """Return the page as it should be, with what was measured in the page ``before``."""
    parts = [_INTRODUCTION]
    parts += [_section(name) for name in stages.BUILT_IN]
    text = "".join(parts) + _QUALITY
    measured = MEASURED.search(before)
    return with_measured(text, measured[0].partition("\n")[2]) if measured else text


def with_measured(text: str, table: str) -> str:
    """Return a page with another table of what was measured."""
    return MEASURED.sub(lambda match: match["begin"] + table, text)


def _section(name: str) -> str:
    kind = stages.load(name)
    example, shows = EXAMPLES[name]
    rows = [
        "| parameter | value | default | |",
        "| --- | --- | --- | --- |",
        *(_row(spec) for spec in kind.parameters().values()),
    ]
    return "\n".join(
        [
            f"## {name}",
            "",
            inspect.cleandoc(kind.__doc__ or ""),
            "",
            f"![{shows}](images/stages/{name}.jpg)",
            "",
            "```yaml",
            "stages:",
            f"  - {example}",
            "```",
            "",
            *rows,
            "",
            "",
        ]
    )


def _row(spec: ParamSpec) -> str:
    note = spec.help if spec.live else f"{spec.help}; *restart*"
    cells = (f"`{spec.name}`", spec.describe_type(), f"`{_default(spec)}`", note)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(spec: ParamSpec) -> str:
    """Return the default as YAML has it."""
    value = spec.default
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, (list, tuple)):
        return str([list(v) if isinstance(v, tuple) else v for v in value]).replace("'", "")
    return str(value)


if __name__ == "__main__":
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(page(old), encoding="utf-8")
