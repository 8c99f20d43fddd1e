"""Time that the preview takes from a camera's thread: no preview, and 0, 1 and 5 viewers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np

from edgevision import Detections, Frame
from edgevision.annotation import caption, draw
from edgevision.web.tap import PreviewTap

SIZES_WH = [(640, 480), (1280, 720), (1920, 1080), (3840, 2160)]
VIEWERS = (0, 1, 5)
ROUNDS = 3
FRAMES = 90
FPS = 30


def scene(size_wh: tuple[int, int]) -> Frame:
    """Return a frame with soft structures, so that the JPEG has the size of a camera's."""
    width, height = size_wh
    noise = np.random.default_rng(1).integers(0, 255, (height // 16, width // 16, 3), np.uint8)
    frame = Frame(cv2.resize(noise, size_wh, interpolation=cv2.INTER_CUBIC))
    low = np.random.default_rng(2).uniform(0, 0.8, (10, 2)) * size_wh
    box = np.hstack([low, low + np.array(size_wh) * 0.15])
    frame.detections = Detections(box, 0.87, "person")
    return frame


def offers(tap: PreviewTap | None, frame: Frame) -> tuple[float, float]:
    """Offer frames at `FPS`, as a worker does; return the mean and the longest time in seconds."""
    total = longest = 0.0
    due = time.perf_counter()
    for number in range(FRAMES):
        frame.sequence = number
        begun = time.perf_counter()
        if tap is not None:
            tap.offer(frame)
        spent = time.perf_counter() - begun
        total += spent
        longest = max(longest, spent)
        due += 1 / FPS
        time.sleep(max(0.0, due - time.perf_counter()))
    return total / FRAMES, longest


@contextlib.contextmanager
def watched(tap: PreviewTap, viewers: int) -> Iterator[None]:
    """Watch ``tap`` from an event loop on another thread, as the server does."""
    loop = asyncio.new_event_loop()

    async def watch() -> None:
        async with tap.watch() as viewer:
            while await viewer.next():
                pass

    async def all_of_them() -> None:
        await asyncio.gather(*(watch() for _ in range(viewers)))

    thread = threading.Thread(target=lambda: loop.run_until_complete(all_of_them()))
    thread.start()
    while tap.viewers < viewers:
        time.sleep(0.001)
    try:
        yield
    finally:
        tap.close()
        thread.join()
        loop.close()


def bare_offer_ns() -> tuple[float, float]:
    """Return nanoseconds of an offer without a viewer and of the loop around it."""
    tap, frame, count = PreviewTap("door"), scene((640, 480)), 1_000_000
    begun = time.perf_counter_ns()
    for _ in range(count):
        tap.offer(frame)
    offered = time.perf_counter_ns()
    for _ in range(count):
        pass
    ended = time.perf_counter_ns()
    return (offered - begun) / count, (ended - offered) / count


def encoding_ms(frame: Frame) -> float:
    """Return milliseconds of drawing and encoding one picture, on the encoder's thread."""
    width, height = frame.size_wh
    scale = min(1.0, 960 / width)
    small = cv2.resize(frame.image, (round(width * scale), round(height * scale)))
    times = []
    for _ in range(50):
        image = small.copy()
        begun = time.perf_counter()
        drawn = draw(image, frame.detections, scale)
        caption(drawn, 1, 0.0)
        cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 80])
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e3


def main() -> None:
    offer_ns, loop_ns = bare_offer_ns()
    print(f"an offer that nobody watches   {offer_ns:.0f} ns (the loop alone {loop_ns:.0f} ns)")
    print(json.dumps({"viewers": 0, "offer_ns": round(offer_ns), "loop_ns": round(loop_ns)}))
    print(f"\n{FPS} frames/s, mean (longest) time per frame on the camera's thread:")
    print(
        "size        no preview      " + "".join(f"{n} viewers        " for n in VIEWERS) + "encode"
    )
    for size_wh in SIZES_WH:
        frame = scene(size_wh)
        means: dict[str, list[float]] = {}
        longests: dict[str, list[float]] = {}
        for number in range(ROUNDS):
            if sys.stderr.isatty():
                print(f"\rround {number + 1} of {ROUNDS} ", end="", file=sys.stderr, flush=True)
            for viewers in (None, *VIEWERS):
                tap = None if viewers is None else PreviewTap("door")
                with watched(tap, viewers) if tap and viewers else contextlib.nullcontext():
                    mean, longest = offers(tap, frame)
                means.setdefault(str(viewers), []).append(mean * 1e6)
                longests.setdefault(str(viewers), []).append(longest * 1e6)
        encode_ms = encoding_ms(frame)
        row = {name: statistics.median(values) for name, values in means.items()}
        worst = {name: statistics.median(values) for name, values in longests.items()}
        cells = "".join(f"{row[n]:6.0f} ({worst[n]:5.0f}) us " for n in row)
        print(f"\r{size_wh[0]}x{size_wh[1]:<6} {cells} {encode_ms:.1f} ms")
        result = {"size_wh": size_wh, "encode_ms": round(encode_ms, 2)}
        result |= {f"viewers_{n}_us": round(value, 2) for n, value in row.items()}
        result["ratio_5_to_1"] = round(row["5"] / row["1"], 2)
        print(json.dumps(result))


if __name__ == "__main__":
    main()
