"""The tamper stage; that it tells the three kinds apart is in test_quality.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import Pipeline
from edgevision.stages import Tamper
from tests.unit.stages.scoring import frames

OPTIONS = {"people": 3, "width": 320, "height": 240, "fps": 10}
FINE = {"covered": False, "defocused": False, "moved": False}


def told(pipeline: Pipeline, options: dict[str, Any], count: int) -> list[tuple[int, str, bool]]:
    events = []
    for frame in frames({**OPTIONS, **options}, range(count)):
        pipeline.process(frame)
        for event in frame.events:
            assert event.output == "tamper"
            events.append((frame.sequence, event.body["kind"], event.body["active"]))
    return events


@pytest.mark.parametrize(
    ("option", "kind"),
    [("cover_at_s", "covered"), ("defocus_at_s", "defocused"), ("move_at_s", "moved")],
)
def test_an_event_at_begin_and_end(option: str, kind: str) -> None:
    with Pipeline([Tamper(confirm=5)]) as pipeline:
        events = told(pipeline, {option: 6, "tamper_for_s": 4}, 120)
    assert [event[1:] for event in events] == [(kind, True), (kind, False)]
    begin, end = events[0][0], events[1][0]
    assert 60 < begin <= 70
    assert 98 < end <= 110


def test_people_light_and_noise_are_no_interference() -> None:
    with Pipeline([Tamper()]) as pipeline:
        assert told(pipeline, {"people": 6, "noise": 8}, 250) == []


def test_something_short_is_not_told() -> None:
    with Pipeline([Tamper(confirm=20)]) as pipeline:
        assert told(pipeline, {"cover_at_s": 6, "tamper_for_s": 1.5}, 110) == []


def test_a_new_view_is_accepted_when_asked() -> None:
    options = {"move_at_s": 5, "tamper_for_s": 1000}
    with Pipeline([Tamper(confirm=5, accept=20)]) as pipeline:
        events = told(pipeline, options, 140)
    assert [event[1:] for event in events] == [("moved", True), ("moved", False)]
    with Pipeline([Tamper(confirm=5)]) as pipeline:
        assert [event[1:] for event in told(pipeline, options, 140)] == [("moved", True)]


def test_the_values_say_how_it_stands() -> None:
    with Pipeline([Tamper(confirm=3)]) as pipeline:
        for frame in frames({**OPTIONS, "cover_at_s": 6}, range(80)):
            pipeline.process(frame)
            if frame.sequence < 60:
                assert frame.values["tamper"] == FINE
    assert frame.values["tamper"] == {**FINE, "covered": True}


def test_a_dead_camera_is_covered() -> None:
    """Some cameras deliver black or gray pictures when their sensor is gone."""
    for level in (0, 128):
        with Pipeline([Tamper(confirm=3)]) as pipeline:
            for frame in frames(OPTIONS, range(80)):
                if frame.sequence >= 50:
                    frame.image = np.full((240, 320), level, np.uint8)
                pipeline.process(frame)
        assert frame.values["tamper"]["covered"]


def test_dusk_is_no_interference() -> None:
    with Pipeline([Tamper()]) as pipeline:
        for frame in frames({**OPTIONS, "lighting": False}, range(300)):
            light = max(1 - frame.sequence / 370, 0.2)
            frame.image = cv2.convertScaleAbs(frame.image, alpha=light)
            pipeline.process(frame)
            assert frame.values["tamper"] == FINE, frame.sequence


def test_another_resolution_is_learnt_anew() -> None:
    with Pipeline([Tamper(confirm=3)]) as pipeline:
        for size in ((320, 240), (240, 320)):
            options = {**OPTIONS, "width": size[0], "height": size[1]}
            for frame in frames(options, range(50)):
                pipeline.process(frame)
                assert frame.values["tamper"] == FINE


# A blur that leaves half of the detail: between the bounds for telling and for taking back.
_SOFT = 2.8


def seen(change: Callable[[int, Any], Any], count: int = 120) -> list[str]:
    """Return the state after each frame of a scene whose pictures are changed by ``change``."""
    states = []
    with Pipeline([Tamper(confirm=3)]) as pipeline:
        for frame in frames({**OPTIONS, "lighting": False, "people": 0}, range(count)):
            frame.image = change(frame.sequence, frame.image)
            pipeline.process(frame)
            active = [kind for kind, told in frame.values["tamper"].items() if told]
            states.append(active[0] if active else "")
    return states


def test_less_light_at_once_is_no_interference_but_none_is() -> None:
    def dimmed(light: float) -> list[str]:
        def change(number: int, image: Any) -> Any:
            return cv2.convertScaleAbs(image, alpha=1 if number < 60 else light)

        return seen(change)

    assert set(dimmed(0.35)) == {""}
    assert set(dimmed(0.02)[70:]) == {"covered"}


def test_a_state_ends_only_when_the_picture_is_clearly_better() -> None:
    def change(number: int, image: Any) -> Any:
        # Out of focus, then almost good enough; or almost good enough from the start.
        sigma = {0: 0.0, 1: 6.0, 2: _SOFT}[min(number // 50, 2)]
        return cv2.GaussianBlur(image, (0, 0), sigma) if sigma else image

    def change_little(number: int, image: Any) -> Any:
        return cv2.GaussianBlur(image, (0, 0), _SOFT) if number >= 50 else image

    assert set(seen(change_little, 150)[60:]) == {""}
    assert set(seen(change, 150)[60:]) == {"defocused"}
