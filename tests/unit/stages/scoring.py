"""How well a stage does on the synthetic walkway, against its ground truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision import Detections, Frame, Pipeline, Stage
from edgevision.slot import Slot
from edgevision.sources.synthetic import SyntheticSource

IOU = 0.5
"""Two boxes that share this much of their union are the same."""
COVERED = 0.5
"""A box is found, or right, when this share of it is covered."""


@dataclass
class Score:
    """Counts over all frames.

    Attributes:
        hits: things that were found.
        misses: things that were not.
        right: detections of something.
        wrong: detections of nothing.
        frames: frames looked at.
        total_ms: time in the stage.
    """

    hits: int = 0
    misses: int = 0
    right: int = 0
    wrong: int = 0
    frames: int = 0
    total_ms: float = 0.0

    @property
    def precision(self) -> float:
        """Share of the detections that are right; 1 without any."""
        return self.right / max(self.right + self.wrong, 1) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """Share of the things that were found."""
        return self.hits / max(self.hits + self.misses, 1)

    @property
    def mean_ms(self) -> float:
        """Mean time of the stage on a frame."""
        return self.total_ms / max(self.frames, 1)

    def __add__(self, other: Score) -> Score:
        return Score(*(getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__))


@dataclass
class Scene:
    """What to look at.

    Attributes:
        options: of the synthetic source.
        frames: numbers of the frames.
        seeds: seeds of the source.
    """

    options: Mapping[str, Any]
    frames: Sequence[int]
    seeds: Sequence[int] = (1, 2, 3, 4, 5)


def frames(options: Mapping[str, Any], numbers: Sequence[int]) -> Iterator[Frame]:
    """Yield frames of the walkway, captured at the scene's times."""
    source = SyntheticSource(**{"pace": "fast", **options})
    source.open()
    slot = Slot()
    for number in numbers:
        source.seek(number)
        assert source.read(slot)
        assert slot.image is not None
        yield Frame(
            slot.image,
            sequence=number,
            captured_at_s=1e9 + number / source.options["fps"],
            truth=slot.truth,
        )


Judge = Callable[[Frame], Score]
"""Says of a frame that a stage has seen what was right and what was wrong."""


def score(make: Callable[[], Stage], scene: Scene, judge: Callable[[], Judge]) -> Score:
    """Run a stage over a scene, once for each seed, and add up what a judge says of each frame.

    Args:
        make: makes the stage.
        scene: what it sees.
        judge: makes the judge of one run.
    """
    total = Score()
    for seed in scene.seeds:
        says = judge()
        with Pipeline([make()]) as pipeline:
            for frame in frames({**scene.options, "seed": seed}, scene.frames):
                before_ns = time.perf_counter_ns()
                assert pipeline.process(frame) is None
                spent_ms = (time.perf_counter_ns() - before_ns) * 1e-6
                total += says(frame)
                total += Score(frames=1, total_ms=spent_ms)
    return total


def by_overlap(label: str, *, min_height: float = 0, text: bool = False) -> Judge:
    """Judge boxes one by one: each thing is found by at most one box, with an IoU of `IOU`.

    Args:
        label: of the things and of the detections.
        min_height: smaller things earn neither praise nor blame.
        text: the text must be right, too.
    """

    def judge(frame: Frame) -> Score:
        assert frame.truth is not None
        truth = frame.truth.objects
        truth = truth[truth.label == label]
        found = frame.detections
        found = found[found.label == label]
        shares = (
            truth.iou(found) if len(truth) and len(found) else np.zeros((len(truth), len(found)))
        )
        if text:
            shares = shares * (_texts(truth)[:, None] == _texts(found)[None])
        counts = truth.size_wh[:, 1] >= min_height
        score = Score()
        right = np.zeros(len(found), bool)
        for row in np.argsort(-shares.max(axis=1)) if shares.size else range(len(truth)):
            column = int(np.argmax(shares[row])) if shares.size else 0
            hit = bool(shares.size and shares[row, column] >= IOU)
            if hit:
                right[column] = True
                shares[:, column] = 0
            score.hits += int(hit and counts[row])
            score.misses += int(not hit and counts[row])
        ignored = _ignored(frame, truth[~counts])
        for column in range(len(found)):
            if not right[column] and _covered(found.box_xyxy[column], ignored) >= COVERED:
                continue
            score.right += int(right[column])
            score.wrong += int(not right[column])
        return score

    return judge


def by_cover(label: str, found_label: str, *, min_area: float = 0) -> Judge:
    """Judge areas: several boxes may make up one thing, and one box hold several.

    A thing is found when the boxes cover `COVERED` of it; a box is right when things, and what
    shows of things in part, cover that share of it.
    """

    def judge(frame: Frame) -> Score:
        assert frame.truth is not None
        truth = frame.truth.objects
        truth = truth[truth.label == label]
        found = frame.detections
        found = found[found.label == found_label]
        known = np.concatenate([truth.box_xyxy, _ignored(frame, truth[:0])])
        result = Score()
        for box, area in zip(truth.box_xyxy, truth.area_px, strict=True):
            hit = _covered(box, found.box_xyxy) >= COVERED
            result.hits += int(hit and area >= min_area)
            result.misses += int(not hit and area >= min_area)
        for box in found.box_xyxy:
            right = _covered(box, known) >= COVERED
            result.right += int(right)
            result.wrong += int(not right)
        return result

    return judge


def _texts(detections: Detections) -> NDArray[Any]:
    return detections.data.get("text", np.full(len(detections), ""))


def _ignored(frame: Frame, small: Detections) -> NDArray[np.float32]:
    """Return the boxes of what a detector may find or not."""
    assert frame.truth is not None
    partial = [row["box_xyxy"] for row in frame.truth.values.get("partial", [])]
    return np.concatenate([np.array(partial, np.float32).reshape(-1, 4), small.box_xyxy])


def _covered(box: NDArray[Any], others: NDArray[Any]) -> float:
    """Return the share of ``box`` that the others cover together."""
    x0, y0, x1, y1 = np.round(box).astype(int)
    if x1 <= x0 or y1 <= y0:
        return 0.0
    mask = np.zeros((y1 - y0, x1 - x0), bool)
    for other in np.round(others).astype(int):
        left, top, right, bottom = other - np.array([x0, y0, x0, y0])
        mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return float(mask.mean())
