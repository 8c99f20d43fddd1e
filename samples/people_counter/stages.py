"""Count people who cross a line."""

from __future__ import annotations

import numpy as np

from edgevision import Frame, Param, Stage


class LineCounter(Stage):
    """Follow boxes from frame to frame and count those whose foot crosses a line.

    A box is taken for the one of the frame before that it overlaps most; one that nothing overlaps
    is new, one that is missing for ``patience`` frames is gone. That is enough for people who
    keep apart; in a crowd use a real tracker before this stage.
    """

    line: tuple[tuple[float, float], tuple[float, float]] = Param(
        ((0.5, 0.0), (0.5, 1.0)), help="two points (x, y), as shares of width and height"
    )
    min_iou: float = Param(0.2, gt=0, le=1, help="overlap that makes two boxes one person")
    patience: int = Param(8, ge=0, unit="frames", help="how long a person may be missed")

    def start(self) -> None:
        self.counts = {"left": 0, "right": 0}
        self.tracks: dict[int, tuple[np.ndarray, float, int]] = {}
        self.next_id = 1

    def process(self, frame: Frame) -> None:
        boxes = frame.detections.box_xyxy
        ids = self._match(boxes, frame)
        frame.detections = frame.detections.replaced(track_id=ids)
        frame.values["crossed"] = dict(self.counts)

    def _match(self, boxes: np.ndarray, frame: Frame) -> np.ndarray:
        ids = np.full(len(boxes), -1, np.int64)
        known = dict(self.tracks)
        for row, box in enumerate(boxes):
            best = max(known, key=lambda i: _iou(known[i][0], box), default=None)
            if best is None or _iou(known[best][0], box) < self.min_iou:
                best, self.next_id = self.next_id, self.next_id + 1
                side_before = self._side(box, frame)
            else:
                side_before = known.pop(best)[1]
            side = self._side(box, frame)
            if side * side_before < 0:
                way = "right" if side > 0 else "left"
                self.counts[way] += 1
                frame.publish("crossing", {"way": way, "track_id": best, **self.counts})
            self.tracks[best] = (box.copy(), side or side_before, frame.sequence)
            ids[row] = best
        self.tracks = {
            i: track
            for i, track in self.tracks.items()
            if frame.sequence - track[2] <= self.patience
        }
        return ids

    def _side(self, box: np.ndarray, frame: Frame) -> float:
        """Say on which side of the line the foot of a box is: -1 left, 1 right of it."""
        width, height = frame.size_wh
        (x0, y0), (x1, y1) = self.line
        foot_x, foot_y = (box[0] + box[2]) / 2 / width, box[3] / height
        return float(np.sign((foot_x - x0) * (y1 - y0) - (foot_y - y0) * (x1 - x0)))


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    overlap = float(np.clip(size, 0, None).prod())
    union = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - overlap
    return overlap / union if union > 0 else 0.0
