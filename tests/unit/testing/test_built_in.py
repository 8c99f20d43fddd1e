"""Every built-in stage obeys the rules of stages."""

from __future__ import annotations

from typing import Any

import pytest

from edgevision import ConfigurationError
from edgevision.stages import BUILT_IN, load
from edgevision.testing import check_stage

# Values instead of bounds that would make pictures of hundreds of megabytes.
_VALUES: dict[str, dict[str, list[Any]]] = {
    "resize": {"width": [1, 333], "height": [1, 333], "scale": [0.1, 4]},
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_stage_obeys_the_rules(name: str) -> None:
    try:
        check_stage(load(name), params=_VALUES.get(name))
    except ConfigurationError as error:
        pytest.skip(f"needs another OpenCV: {error}")
