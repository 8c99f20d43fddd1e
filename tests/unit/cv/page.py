"""Writes docs/reference-cv.md from the table of operations."""

from __future__ import annotations

from collections.abc import Iterator

from edgevision.cv.operation import Operation
from edgevision.cv.table import OPERATIONS, TYPES

__all__ = ["page"]

_HEAD = """# edgevision.cv

The functions of cv2, for images wherever they live. Same names, same arguments, same results:

```python
import cv2
from edgevision import cv

image = cv.zeros((540, 960, 3))
gray = cv.cvtColor(image, cv2.COLOR_BGR2GRAY)
```

- An array runs on the CPU, with cv2, and the result is cv2's bit for bit.
- A `cv2.cuda.GpuMat` raises `CudaUnsupportedError`, or `CudaUnavailableError` where OpenCV has no
  CUDA or the machine no device. The tables name the counterpart in cv2.cuda.
- Within a pipeline, images that are results (**bold** below) are written into buffers of the frame
  and used again for a later frame, so a steady pipeline allocates nothing. `cv.clone(image)` keeps
  such an image beyond its frame. With `dst=` given, the result goes there as in cv2.
- All other results (numbers, points, lines, histograms) are yours to keep.
- `cv.zeros(shape, dtype)` is a zeroed array to draw on; within a pipeline it is the frame's too.
- Masked operations without `dst` leave zeros where the mask is zero, as in cv2.

The elements are those of the first image: 8U is uint8, 16S int16, 32F float32 and so on; C134 is 1,
3 or 4 channels. Every combination is tested against cv2. Those on CUDA are what cv2.cuda 4.14 takes
of them. The difference is the largest one seen between CUDA and the CPU on an H100, with some room:
a whole number in steps of an integer result, a fraction relative to the largest value of a
floating-point one.

This page is generated from `edgevision/cv/table`.
"""


def page() -> str:
    """Return the text of the page."""
    lines = [_HEAD]
    groups: dict[str, list[Operation]] = {}
    for row in OPERATIONS.values():
        groups.setdefault(row.group, []).append(row)
    for group, rows in groups.items():
        lines += [f"## {group}", ""]
        if rows[0].dtypes or rows[0].channels:
            lines += _table(rows)
        else:
            lines += _makers(rows)
        lines.append("")
    lines += ["## Methods", ""]
    for kind in TYPES.values():
        lines += [f"### {kind.name}", "", kind.summary, "", *_table(list(kind.methods)), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(rows: list[Operation]) -> Iterator[str]:
    yield "| function | elements | CUDA | elements on CUDA | difference | |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        channels = "".join(str(count) for count in row.channels)
        elements = " ".join(f"{word}C{channels}" for word in row.dtypes.split()) or "none"
        yield (
            f"| {_call(row)} | {elements} | {_cuda(row)} | {row.cuda_types} | {_difference(row)} "
            f"| {_remarks(row)} |"
        )


def _makers(rows: list[Operation]) -> Iterator[str]:
    yield "| function | CUDA | |"
    yield "|---|---|---|"
    for row in rows:
        yield f"| {_call(row)} | {_cuda(row)} | {_remarks(row)} |"


def _call(row: Operation) -> str:
    parsed = row.parsed
    given = ", ".join(
        name if index < parsed.required else f"{name}="
        for index, name in enumerate(parsed.parameters)
    )
    results = ", ".join(f"**{name}**" if name in row.pooled else name for name in parsed.returns)
    return f"`{parsed.name}({given})` → {results}" if results else f"`{parsed.name}({given})`"


def _cuda(row: Operation) -> str:
    if not row.cuda:
        return "—"
    return f"`{row.counterpart.removeprefix('cv2.cuda.')}`"


def _difference(row: Operation) -> str:
    if not row.cuda or not row.cuda_types:
        return ""
    parts = [f"{row.steps}"] if row.steps or not row.relative else []
    if row.relative:
        parts.append(f"{row.relative:g}")
    return " or ".join(parts)


def _remarks(row: Operation) -> str:
    parts = [row.summary]
    if row.no_cuda:
        parts.append(f"No CUDA: {row.no_cuda}.")
    if row.cuda_call:
        parts.append(f"On CUDA: {row.cuda_call}.")
    if row.differs:
        parts.append(f"CUDA differs: {row.differs}")
    if row.reference and row.dtypes:
        parts.append("Not in cv2.")
    if row.unpooled:
        parts.append(f"No buffer when {' or '.join(str(when) for when in row.unpooled)}.")
    if row.note:
        parts.append(row.note)
    if row.package:
        parts.append(f"With OpenCV 5 it needs `{row.package}`.")
    return " ".join(parts).replace("|", "\\|")
