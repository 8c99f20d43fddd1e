"""The pictures of docs/stages.md, one for each stage.

``python -m tests.docs.stage_pictures`` writes them; the same code gives the same pictures. It needs
OpenCV 4.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from edgevision import Detections, Frame, Pipeline, Stage, stages
from edgevision.annotation import bgr8, draw
from edgevision.slot import Slot
from edgevision.sources.synthetic import SyntheticSource
from tests.docs.stage_page import EXAMPLES
from tests.unit.inference.models import bright_squares

__all__ = ["FOLDER", "PICTURES", "reduced"]

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images" / "stages"
_WIDTH = 560
_QUALITY = 82

Picture = NDArray[Any]


def _example(name: str, **more: Any) -> Stage:
    """Make a stage with the settings that the page shows."""
    settings = yaml.safe_load(EXAMPLES[name][0])[name]
    return stages.load(name)(**{**settings, **more})


def _last(
    chain: Sequence[Stage], numbers: Sequence[int], **options: Any
) -> tuple[Picture, Detections, dict[str, Any]]:
    """Run stages over frames of the walkway; return what they leave of the last one."""
    source = SyntheticSource(**{"pace": "fast", "frames": 10**6, **options})
    source.open()
    slot = Slot()
    left: tuple[Picture, Detections, dict[str, Any]] | None = None
    with Pipeline(chain) as pipeline:
        for number in numbers:
            source.seek(number)
            source.read(slot)
            assert slot.image is not None
            frame = Frame(slot.image, sequence=number, captured_at_s=1e9 + number / 30)
            pipeline.process(frame)
            left = (frame.image.copy(), frame.detections, dict(frame.values))
    source.close()
    assert left is not None
    return left


def _boxes(chain: Sequence[Stage], numbers: Sequence[int], **options: Any) -> Picture:
    image, detections, _ = _last(chain, numbers, **options)
    return draw(bgr8(image), detections)


def _resize() -> Picture:
    whole, *smaller = (
        _last([_example("resize", width=width)], [150])[0] for width in (320, 160, 80)
    )
    column = np.full((whole.shape[0], 170, 3), 245, np.uint8)
    top = 0
    for image in smaller:
        height, width = image.shape[:2]
        column[top : top + height, 10 : 10 + width] = image
        top += height + 10
    return np.hstack([whole, column])


def _tamper() -> Picture:
    times = {"cover_at_s": 3, "defocus_at_s": 6, "move_at_s": 9, "tamper_for_s": 2}
    shots = []
    for seconds in (2.5, 4.5, 7.5, 10.5):
        image, _, values = _last(
            [_example("tamper", confirm=5)],
            range(0, int(seconds * 30), 3),
            people=4,
            width=320,
            height=240,
            **times,
        )
        state = next((kind for kind, active in values["tamper"].items() if active), "in order")
        cv2.putText(
            image, state, (8, 228), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 4, cv2.LINE_AA
        )
        white = (255, 255, 255)
        cv2.putText(image, state, (8, 228), cv2.FONT_HERSHEY_SIMPLEX, 0.6, white, 1, cv2.LINE_AA)
        shots.append(image)
    return np.vstack([np.hstack(shots[:2]), np.hstack(shots[2:])])


def _detect() -> Picture:
    """Squares that the network of the tests finds, held up in the walkway."""
    image = _last([], [150])[0]
    for x, y, colour in (
        (96, 160, (40, 40, 235)),
        (352, 96, (60, 210, 60)),
        (512, 320, (230, 70, 40)),
    ):
        image[y : y + 32, x : x + 32] = colour
    with tempfile.TemporaryDirectory() as folder:
        model = bright_squares(Path(folder) / "squares.onnx", input_wh=(160, 120))
        names = ["red", "green", "blue"]
        with Pipeline([_example("detect", model=model, labels=names, classes=[])]) as pipeline:
            frame = Frame(image)
            pipeline.process(frame)
            return draw(frame.image, frame.detections)


PICTURES: dict[str, Callable[[], Picture]] = {
    "resize": _resize,
    "roi": lambda: _last([_example("roi")], [150])[0],
    "motion": lambda: _boxes([_example("motion")], range(90, 151)),
    "people": lambda: _boxes([_example("people")], [60], people=4, seed=2),
    "detect": _detect,
    "faces": lambda: _boxes([_example("faces")], [100], faces=2, seed=7),
    "codes": lambda: _boxes([_example("codes")], [60], codes=4, seed=3),
    "edges": lambda: bgr8(_last([_example("edges")], [150])[0]),
    "flow": lambda: _last([_example("flow")], range(140, 151))[0],
    "blur": lambda: _last(
        [stages.Faces(min_size=50), _example("blur")], range(90, 101), faces=2, seed=7
    )[0],
    "tamper": _tamper,
}
"""Makes the picture of each stage."""


def reduced(picture: Picture) -> Picture:
    """Return a picture at the width that the page shows."""
    height = round(_WIDTH * picture.shape[0] / picture.shape[1])
    return cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PICTURES.items():
        path = str(FOLDER / f"{name}.jpg")
        cv2.imwrite(path, reduced(make()), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
