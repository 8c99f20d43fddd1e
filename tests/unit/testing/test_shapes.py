"""The pictures for tests are what they say."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest

from edgevision import Frame, testing
from edgevision.testing import black, frames, gray, noise, white


@pytest.mark.parametrize("size_wh", [(160, 120), (64, 48), (101, 67), (48, 160), (16, 12)])
def test_frames_have_their_size_and_truth(size_wh: tuple[int, int]) -> None:
    made = frames(12, size_wh=size_wh, camera="door")
    assert [frame.sequence for frame in made] == list(range(1, 13))
    for frame in made:
        assert frame.size_wh == size_wh
        assert frame.image.dtype == np.uint8
        assert frame.image.ndim == 3
        assert frame.camera == "door"
        assert frame.truth is not None
        objects = frame.truth.objects
        assert objects.label.tolist() == ["box", "ball"]
        assert objects.track_id.tolist() == [1, 2]
        assert len(objects.clipped(size_wh)) == 2
        assert objects.clipped(size_wh) == objects
        assert (objects.size_wh >= 3).all()


def test_the_truth_is_where_the_shapes_are() -> None:
    for frame in frames(20):
        assert frame.truth is not None
        bright = frame.image.max(axis=2) > 180
        covered = np.zeros_like(bright)
        for box, *_ in frame.truth.objects:
            x0, y0, x1, y1 = (int(side) for side in box)
            covered[y0:y1, x0:x1] = True
            assert bright[y0:y1, x0:x1].mean() > 0.7
            assert bright[y0:y1, x0].any()
            assert bright[y0:y1, x1 - 1].any()
            assert bright[y0, x0:x1].any()
            assert bright[y1 - 1, x0:x1].any()
        assert not (bright & ~covered).any()


def test_shapes_move_and_background_stays() -> None:
    first, second = frames(2)
    assert first.truth is not None
    assert second.truth is not None
    assert (first.truth.objects.box_xyxy != second.truth.objects.box_xyxy).any(axis=1).all()
    assert (first.image == second.image).mean() > 0.7
    assert second.captured_at_s - first.captured_at_s == pytest.approx(0.1)


def test_a_seed_is_a_scene() -> None:
    def pixels(made: list[Frame]) -> list[bytes]:
        return [frame.image.tobytes() for frame in made]

    assert pixels(frames(4, seed=3)) == pixels(frames(4, seed=3))
    assert pixels(frames(4, seed=3))[0] != pixels(frames(4, seed=4))[0]
    assert noise(seed=1).tobytes() == noise(seed=1).tobytes()
    assert noise(seed=1).tobytes() != noise(seed=2).tobytes()


def test_frames_that_are_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at least \(16, 12\), got \(16, 11\)"):
        frames(1, size_wh=(16, 11))


def test_extremes() -> None:
    assert black((32, 24)).shape == white((32, 24)).shape == noise((32, 24)).shape == (24, 32, 3)
    assert black().max() == 0
    assert white().min() == 255
    assert noise().min() == 0
    assert noise().max() == 255
    assert gray(white((32, 24))).shape == (24, 32)


def test_names_are_imported_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in testing.__all__:
        assert getattr(testing, name).__name__ == name
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        testing.nothing  # noqa: B018  # it raises
    for module in [name for name in sys.modules if name.startswith("edgevision.testing")]:
        monkeypatch.delitem(sys.modules, module)
    fresh = importlib.import_module("edgevision.testing")
    assert "edgevision.testing.cameras" not in sys.modules
    assert fresh.frames(1)[0].size_wh == (160, 120)
