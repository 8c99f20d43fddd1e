"""The one table of operations: it drives the dispatch, the documentation and the tests."""

from __future__ import annotations

from edgevision.cv.operation import ObjectType, Operation
from edgevision.cv.table import (
    arithmetic,
    detectors,
    features,
    filtering,
    geometry,
    objects,
    reduction,
)

__all__ = ["OPERATIONS", "TYPES"]

OPERATIONS: dict[str, Operation] = {
    row.name: row
    for part in (arithmetic, geometry, filtering, reduction, features, objects, detectors)
    for row in part.ROWS
}
"""All functions and constructors, by name."""

TYPES: dict[str, ObjectType] = {kind.name: kind for kind in objects.TYPES + detectors.TYPES}
"""The classes of the objects that the constructors make, by name."""
