"""Detections that are there when somebody looks."""

from __future__ import annotations

import numpy as np

from edgevision.blobs import Later
from edgevision.detections import Detections


def test_what_is_there_later_is_copied_with_other_columns() -> None:
    asked = []

    def settle() -> None:
        asked.append(1)
        later.fill(Detections([(1, 2, 3, 4)], 1.0, "blob"))

    later = Later(settle)
    assert not asked
    copy = later.replaced(label="person", data={"speed": np.array([3.0])})
    assert asked == [1]
    assert copy.label.tolist() == ["person"]
    assert copy.box_xyxy.tolist() == [[1, 2, 3, 4]]
