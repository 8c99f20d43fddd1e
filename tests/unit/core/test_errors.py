"""What errors carry and say."""

from __future__ import annotations

import pytest

from edgevision import errors
from edgevision.errors import ConfigurationError, EdgeVisionError, StageError, UpstreamError


@pytest.mark.parametrize("name", errors.__all__)
def test_all_have_one_root_and_stand_in_the_tree(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, EdgeVisionError)
    assert errors.__doc__
    assert name in errors.__doc__
    assert error.__doc__


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ({}, "no"),
        ({"file": "a.yaml"}, "a.yaml: no"),
        ({"file": "a.yaml", "line": 3}, "a.yaml:3: no"),
        ({"path": "cameras.door"}, "cameras.door: no"),
        ({"file": "a.yaml", "line": 3, "path": "cameras.door"}, "a.yaml:3: cameras.door: no"),
    ],
)
def test_a_configuration_error_says_where(place: dict[str, object], text: str) -> None:
    error = ConfigurationError("no", **place)  # type: ignore[arg-type]
    assert str(error) == text
    assert error.message == "no"
    assert isinstance(error, ValueError)


def test_a_stage_error_says_where() -> None:
    error = StageError("it broke", camera="door", stage="motion", sequence=7)
    assert str(error) == "camera 'door', stage 'motion', frame 7: it broke"
    assert (error.camera, error.stage, error.sequence) == ("door", "motion", 7)
    assert "frame" not in str(StageError("x", camera="c", stage="s", sequence=None))


def test_an_upstream_error_knows_whether_to_try_again() -> None:
    assert UpstreamError("x", retryable=True).retryable
    assert not UpstreamError("x", retryable=False).retryable
