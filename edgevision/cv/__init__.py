"""The functions of cv2, for images wherever they live.

Same names, same arguments, same results as cv2. Within a pipeline the images that they return come
from the frame's arena, so a steady pipeline allocates nothing; `clone` what must outlive the frame.
The table in `edgevision.cv.table` lists all operations, what each is on CUDA, and what differs.

Constants are cv2's own: ``cv.cvtColor(image, cv2.COLOR_BGR2GRAY)``.
"""

from __future__ import annotations

from typing import Any

import cv2

from edgevision.cv import detectors, filters, reference
from edgevision.cv.dispatch import bind, describe, missing
from edgevision.cv.memory import clone as clone
from edgevision.cv.memory import zeros as zeros
from edgevision.cv.objects import CvObject, constructor, object_class
from edgevision.cv.operation import Operation
from edgevision.cv.table import OPERATIONS, TYPES


def _native(row: Operation) -> Any:
    """Find the CPU side of a row."""
    if not row.reference:
        return getattr(cv2, row.name, None) or missing(row)
    for module in (reference, filters, detectors):
        if hasattr(module, row.name):
            return getattr(module, row.name)
    raise AttributeError(f"no CPU side of {row.name}")


def _members() -> dict[str, Any]:
    """Make everything that the table lists."""
    members: dict[str, Any] = {name: object_class(kind) for name, kind in TYPES.items()}
    for name, row in OPERATIONS.items():
        kind = members.get(row.parsed.returns[0]) if row.parsed.returns else None
        if isinstance(kind, type) and issubclass(kind, CvObject):
            members[name] = constructor(row, _native(row), kind)
        else:
            members[name] = describe(bind(row, _native(row)), row)
    for name, kind in TYPES.items():
        if f"{name}_create" in members:
            members[name].create = staticmethod(members[f"{name}_create"])
        for static in kind.statics:
            members[f"{name}_{static}"] = getattr(members[name], static)
    return members


globals().update(_members())

__all__ = sorted(["clone", "zeros", *OPERATIONS, *TYPES])
