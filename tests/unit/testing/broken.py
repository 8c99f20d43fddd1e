"""Stages of which each breaks one rule of stages, in a way that happens."""

from __future__ import annotations

import os
import random
import threading
from typing import Any, Literal

import cv2
import numpy as np

from edgevision import ConfigurationError, Detections, DropFrame, Frame, Param, Stage, cv

# Held by a stage that never gives it back.
_FOREVER = threading.Event()


class NeedsModel(Stage):
    model: str = Param()

    def process(self, frame: Frame) -> None: ...


class StartFails(Stage):
    def start(self) -> None:
        self.model = self.no_such_thing  # type: ignore[attr-defined]

    def process(self, frame: Frame) -> None: ...


class StopFails(Stage):
    def process(self, frame: Frame) -> None:
        self.seen = 1

    def stop(self) -> None:
        if self.seen:
            raise OSError("cannot flush")


class StopNeedsAFrame(Stage):
    def start(self) -> None:
        self.file: Any = None

    def process(self, frame: Frame) -> None:
        self.file = 3

    def stop(self) -> None:
        self.file += 1


class StopNeedsStart(Stage):
    def start(self) -> None:
        self.name_of_file = "x"

    def process(self, frame: Frame) -> None: ...

    def stop(self) -> None:
        self.name_of_file += "y"


class Returns(Stage):
    def process(self, frame: Frame) -> Any:
        return frame


class ReturnsACoroutine(Stage):
    def process(self, frame: Frame) -> Any:
        async def work() -> None: ...

        return work()


class RaisesLater(Stage):
    def start(self) -> None:
        self.count = 0

    def process(self, frame: Frame) -> None:
        self.count += 1
        if self.count == 7:
            raise ZeroDivisionError("the seventh")


class BoxesOutside(Stage):
    def process(self, frame: Frame) -> None:
        width, height = frame.size_wh
        frame.add(Detections([[0, 0, height, width]], label="swapped"))


class BoxesLeftBehind(Stage):
    def process(self, frame: Frame) -> None:
        frame.image = cv2.resize(frame.image, None, fx=0.5, fy=0.5)


class BoxesReversed(Stage):
    def process(self, frame: Frame) -> None:
        frame.add(Detections([[8, 8, 2, 10]]))


class BoxesNotFinite(Stage):
    def process(self, frame: Frame) -> None:
        frame.add(Detections([[0, 0, np.nan, 5]]))


class Percent(Stage):
    def process(self, frame: Frame) -> None:
        frame.add(Detections([[0, 0, 5, 5]], 87.0))


class BadValue(Stage):
    def process(self, frame: Frame) -> None:
        frame.values["model"] = self


class BadColumn(Stage):
    def process(self, frame: Frame) -> None:
        frame.add(Detections([[0, 0, 5, 5]], data={"crop": np.array([b"abc"], object)}))


class NewValues(Stage):
    def process(self, frame: Frame) -> None:
        frame.values = {"mine": 1}


class ClearsEvents(Stage):
    def process(self, frame: Frame) -> None:
        frame.events.clear()


class Renumbers(Stage):
    def start(self) -> None:
        self.count = 0

    def process(self, frame: Frame) -> None:
        self.count += 10
        frame.sequence = self.count


class KeepsPicture(Stage):
    def process(self, frame: Frame) -> None:
        self.previous = frame.image


class KeepsPart(Stage):
    def process(self, frame: Frame) -> None:
        self.history = {"crops": [frame.image[2:8, 2:8]]}


class KeepsBuffer(Stage):
    def process(self, frame: Frame) -> None:
        self.gray = cv.GaussianBlur(frame.image, (5, 5), 0)


class KeepsFrame(Stage):
    def process(self, frame: Frame) -> None:
        self.last = [frame]


class ManyReasons(Stage):
    def process(self, frame: Frame) -> None:
        if frame.sequence % 2:
            raise DropFrame(f"number {frame.sequence} is odd")


class DropsAll(Stage):
    def process(self, frame: Frame) -> None:
        raise DropFrame("too small")


class OnceOnly(Stage):
    def __init__(self) -> None:
        self.open = True

    def process(self, frame: Frame) -> None:
        if not self.open:
            raise ValueError("it is closed")

    def stop(self) -> None:
        self.open = False


class NeedsSize(Stage):
    def process(self, frame: Frame) -> None:
        frame.values["far"] = int(frame.image[40, 40].max())


class NeedsColor(Stage):
    def process(self, frame: Frame) -> None:
        cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)


class NeedsContiguous(Stage):
    def process(self, frame: Frame) -> None:
        frame.values["bytes"] = len(frame.image.data.cast("B"))


class NeedsSameSize(Stage):
    def start(self) -> None:
        self.previous: Any = None

    def process(self, frame: Frame) -> None:
        if self.previous is not None:
            cv2.absdiff(frame.image, self.previous)
        self.previous = frame.image.copy()


class NeedsContrast(Stage):
    def process(self, frame: Frame) -> None:
        low, high = int(frame.image.min()), int(frame.image.max())
        frame.values["stretch"] = 255 // (high - low)


class Rolls(Stage):
    def process(self, frame: Frame) -> None:
        frame.values["score"] = random.random()


class RollsBoxes(Stage):
    def process(self, frame: Frame) -> None:
        frame.add(Detections([[0, 0, random.uniform(1, 9), 9]]))


class RollsPixels(Stage):
    def process(self, frame: Frame) -> None:
        frame.image[0, 0] = random.randrange(256)


class ClassState(Stage):
    history: list[float] = []

    def start(self) -> None:
        self.history.clear()

    def process(self, frame: Frame) -> None:
        self.history.append(float(frame.image.mean()))
        frame.values["mean"] = sum(self.history) / len(self.history)


class Race(Stage):
    """Hands its picture over in a variable of the class, so that another thread's comes between."""

    picture: Any = None
    busy = threading.Lock()

    def process(self, frame: Frame) -> None:
        if not Race.busy.acquire(blocking=False):
            frame.values["alone"] = False
            return
        try:
            total = 0
            for row in frame.image:
                total += int(row.sum())
            frame.values["alone"] = True
            frame.values["total"] = total
        finally:
            Race.busy.release()


class ThreadLeft(Stage):
    def start(self) -> None:
        threading.Thread(target=_FOREVER.wait, name="my worker", daemon=True).start()

    def process(self, frame: Frame) -> None: ...


class FileLeft(Stage):
    def start(self) -> None:
        self.descriptor = os.open(os.devnull, os.O_RDONLY)

    def process(self, frame: Frame) -> None: ...


class SetsCv2Threads(Stage):
    def start(self) -> None:
        cv2.setNumThreads(1 if cv2.getNumThreads() != 1 else 2)

    def process(self, frame: Frame) -> None: ...


class SetsEnvironment(Stage):
    def start(self) -> None:
        os.environ["OPENCV_LOG_LEVEL"] = "ERROR" + os.environ.get("OPENCV_LOG_LEVEL", "")

    def process(self, frame: Frame) -> None: ...


class TooWideBounds(Stage):
    size: int = Param(5, ge=0, le=9)

    def process(self, frame: Frame) -> None:
        cv2.GaussianBlur(frame.image, (self.size | 1, self.size | 1), 0)
        frame.values["share"] = 1 / self.size


class TooWideAtStart(Stage):
    size: float = Param(5.0, gt=0, lt=9)

    def start(self) -> None:
        if self.size > 8:
            raise ValueError("no memory")

    def process(self, frame: Frame) -> None: ...


class ChoiceForgotten(Stage):
    mode: Literal["a", "b", "c"] = Param("a")

    def process(self, frame: Frame) -> None:
        frame.values["mode"] = {"a": 1, "b": 2}[self.mode]


class ChangeFails(Stage):
    size: int = Param(5, ge=1)

    def process(self, frame: Frame) -> None: ...

    def changed(self, names: frozenset[str]) -> None:
        self.buffer = self.no_such_thing  # type: ignore[attr-defined]


class ChangeBreaks(Stage):
    size: int = Param(3, ge=1, le=6)

    def start(self) -> None:
        self.history = np.zeros(self.size)

    def process(self, frame: Frame) -> None:
        self.history[self.size - 1] = 1


class GoodTracker(Stage):
    """Obeys all rules, with state, threads, files, refusals and drops."""

    low: int = Param(10, ge=0, le=255)
    high: int = Param(200, ge=0, le=255)
    side: Literal["left", "right"] = Param("left")
    note: str | None = Param(None)

    file: Any = None
    thread: threading.Thread | None = None

    def start(self) -> None:
        self._check()
        self.count = 0
        self.previous: Any = None
        self.file = open(os.devnull, "w")  # noqa: SIM115  # closed in stop
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.ended.wait)
        self.thread.start()

    def process(self, frame: Frame) -> None:
        self.count += 1
        gray = (
            frame.image if frame.image.ndim == 2 else cv.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        )
        if not gray.any():
            raise DropFrame("black")
        if self.previous is not None and self.previous.shape == gray.shape:
            frame.values["moved"] = float(cv.absdiff(gray, self.previous).mean())
        self.previous = cv.clone(gray)
        _, mask = cv.threshold(gray, self.low, 255, cv2.THRESH_BINARY)
        frame.detect_blobs(mask, label=self.side)
        frame.publish("count", {"count": self.count, "note": self.note})
        frame.image[:2] = 0

    def stop(self) -> None:
        if self.thread is not None:
            self.ended.set()
            self.thread.join()
            self.thread = None
        if self.file is not None:
            self.file.close()
            self.file = None

    def changed(self, names: frozenset[str]) -> None:
        self._check()

    def _check(self) -> None:
        if self.low > self.high:
            raise ConfigurationError("low is above high")
