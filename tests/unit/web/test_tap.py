"""The preview tap: no work while nobody watches, no waiting while somebody does."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import Detections, Frame
from edgevision.annotation import color_of
from edgevision.errors import SourceUnavailableError
from edgevision.web.encoder import Pace
from edgevision.web.picture import Picture, Viewer
from edgevision.web.tap import PreviewTap, watch
from tests.unit.web.client import DEADLINE_S, decode, soon, until
from tests.unit.web.rig import BOX_XYXY, Rig, picture


async def next_of(viewer: Viewer) -> Picture:
    found = await soon(viewer.next())
    assert found is not None
    return found


def frame(sequence: int = 1, image: NDArray[Any] | None = None) -> Frame:
    found = Frame(picture() if image is None else image, camera="door", sequence=sequence)
    found.detections = Detections([BOX_XYXY], 0.87, "person")
    return found


def encoders() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("preview ") and t.is_alive()]


def wait_for_no_encoder() -> None:
    for thread in encoders():
        thread.join(DEADLINE_S)
    assert not encoders()


class Untouchable:
    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"the tap looked at frame.{name} though nobody watches")


def test_without_a_viewer_the_frame_is_not_even_looked_at() -> None:
    tap = PreviewTap("door")
    untouchable: Any = Untouchable()
    for _ in range(500):
        tap.offer(untouchable)
    assert tap.encoded == 0
    assert not encoders()


def test_a_runner_that_makes_taps_loads_no_server() -> None:
    code = (
        "import sys, edgevision.status; from edgevision.web.tap import PreviewTap; "
        "PreviewTap('door'); print([m for m in ('aiohttp', 'prometheus_client') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_viewer_nothing_is_allocated() -> None:
    tap, shown = PreviewTap("door"), frame()
    tap.offer(shown)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(100):
            tap.offer(shown)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # One call's own bookkeeping, the same for one call as for a hundred.
    assert peak - before < 1000


def test_a_picture_has_the_box_at_its_place_and_the_findings_beside_it() -> None:
    async def main() -> None:
        tap = PreviewTap("door", max_width=640, jpeg_quality=95)
        async with tap.watch() as viewer:
            shown = frame(7)
            shown.values = {"people": np.int64(2), "note": "x" * 500, "odd": {"a": [1]}}
            shown.values["nan"] = float("nan")
            tap.offer(shown)
            found = await next_of(viewer)
        assert (found.camera, found.sequence, found.size_wh) == ("door", 7, (1280, 720))
        assert found.captured_at_s == shown.captured_at_s
        assert found.counts == {"person": 1}
        blue, green, red = color_of("person")
        assert found.colors == {"person": f"#{red:02x}{green:02x}{blue:02x}"}
        assert found.values["people"] == 2
        assert type(found.values["people"]) is int
        assert len(found.values["note"]) == 120
        assert found.values["odd"] == "{'a': [1]}"
        assert found.values["nan"] == "nan"
        image = decode(found.jpeg)
        assert image.shape == (360, 640, 3)
        left, top, right, bottom = (edge // 2 for edge in BOX_XYXY)
        middle = (left + right) // 2, (top + bottom) // 2
        for x, y in ((left, middle[1]), (right - 1, middle[1]), (middle[0], bottom - 1)):
            assert np.abs(image[y, x].astype(int) - color_of("person")).max() < 60, (x, y)
        assert image[middle[1], middle[0]].min() > 230, "the inside is what the camera saw"
        assert image[middle[1], left - 20].max() < 60, "the outside too"

    asyncio.run(main())
    wait_for_no_encoder()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_frame_may_be_used_again_at_once(channels: int) -> None:
    async def main() -> None:
        tap = PreviewTap("door")
        image = picture()[:, :, :channels].copy()
        async with tap.watch() as viewer:
            for _ in range(20):
                image[:] = picture()[:, :, :channels]
                shown = frame(1, image)
                tap.offer(shown)
                shown.release()
                image[:] = 0
                found = await next_of(viewer)
                jpeg = decode(found.jpeg)
                height, width = jpeg.shape[:2]
                assert jpeg[height // 2, width * 3 // 8].min() > 230
                await asyncio.sleep(1 / 15)

    asyncio.run(main())


def test_at_most_so_many_pictures_a_second() -> None:
    async def main() -> None:
        tap = PreviewTap("door", max_fps=2)
        shown = frame()
        async with tap.watch() as viewer:
            began = time.monotonic()
            for _ in range(300):
                tap.offer(shown)
            await next_of(viewer)
            assert tap.encoded <= 2 + 2 * (time.monotonic() - began)

    asyncio.run(main())


def test_a_camera_of_twice_the_rate_loses_every_other_frame_and_no_more() -> None:
    """A frame that comes a moment early must not cost the next one its place too."""
    pace = Pace(15)
    start = 5_000_000_000_000
    jitter_ns = np.random.default_rng(1).integers(-3_000_000, 3_000_000, 300).tolist()
    taken = sum(pace.take(start + i * 33_333_333 + jitter_ns[i]) for i in range(300))
    assert 148 <= taken <= 152


def test_after_a_pause_there_is_no_burst() -> None:
    pace = Pace(10)
    assert pace.take(1_000_000_000)
    moments = [60_000_000_000 + i * 1_000_000 for i in range(1000)]
    assert sum(pace.take(moment) for moment in moments) <= 11


def test_a_viewer_who_never_looks_holds_up_nobody_and_keeps_one_picture() -> None:
    async def main() -> None:
        tap = PreviewTap("door", max_fps=1e6)
        small = picture((640, 360))
        async with tap.watch() as idle, tap.watch() as busy:
            tracemalloc.start()
            try:
                for sequence in range(1, 500):
                    tap.offer(frame(sequence, small))
                    if sequence % 50 == 0:
                        await next_of(busy)
                tap.offer(frame(500, small))
                grown = tracemalloc.get_traced_memory()[0]
            finally:
                tracemalloc.stop()
            assert grown < 8_000_000, "two buffers and a picture, not 500"
            # Both are given the same newest picture in the end.
            last = await next_of(busy)
            while last.sequence < 500:
                last = await next_of(busy)
            assert (await next_of(idle)) is last
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(idle.next(), 0.05)

    asyncio.run(main())


def test_a_picture_is_encoded_once_for_all_viewers() -> None:
    async def main() -> None:
        tap = PreviewTap("door")
        async with tap.watch() as one, tap.watch() as two:
            assert tap.viewers == 2
            tap.offer(frame())
            assert (await next_of(one)) is (await next_of(two))
            assert tap.encoded == 1
        assert tap.viewers == 0

    asyncio.run(main())


def test_the_thread_starts_with_the_first_viewer_and_ends_after_the_last() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            tap = rig.cameras["door"].tap

            def has_offered(count: int) -> bool:
                return rig.cameras["door"].offered >= count

            for _ in range(3):
                async with tap.watch() as one:
                    async with tap.watch():
                        await next_of(one)
                    assert len(encoders()) == 1
                    # The first picture may be the last one of the viewer before.
                    seen = (await next_of(one)).sequence
                    assert (await next_of(one)).sequence > seen
                await asyncio.to_thread(wait_for_no_encoder)
                encoded = tap.encoded
                await until(has_offered, rig.cameras["door"].offered + 3)
                assert tap.encoded == encoded

    asyncio.run(main())


def test_a_new_viewer_of_a_camera_that_has_ended_sees_its_last_picture() -> None:
    async def main() -> None:
        tap = PreviewTap("door")
        async with tap.watch() as viewer:
            tap.offer(frame(9))
            await next_of(viewer)
        async with tap.watch() as viewer:
            assert (await next_of(viewer)).sequence == 9

    asyncio.run(main())


def test_closing_ends_the_viewers_and_the_camera_may_still_offer() -> None:
    async def main() -> None:
        tap = PreviewTap("door")
        async with tap.watch() as viewer:
            waiting = asyncio.ensure_future(viewer.next())
            await asyncio.sleep(0)
            tap.close()
            tap.close()
            assert await soon(waiting) is None
            assert await soon(viewer.next()) is None
            tap.offer(frame())
        async with tap.watch() as viewer:
            assert await soon(viewer.next()) is None
        assert tap.closed
        assert tap.encoded == 0

    asyncio.run(main())
    wait_for_no_encoder()


def test_a_slow_viewer_of_several_cameras_sees_all_of_them_in_turn() -> None:
    async def main() -> None:
        with Rig("a", "b", "c") as rig:
            taps = list(rig.taps().values())

            def encoded(counts: list[int]) -> bool:
                return all(tap.encoded >= n for tap, n in zip(taps, counts, strict=True))

            async with watch(taps) as viewer:
                seen = []
                for _ in range(9):
                    wanted = [tap.encoded + 2 for tap in taps]
                    await until(encoded, wanted)
                    seen.append((await next_of(viewer)).camera)
        assert {camera: seen.count(camera) for camera in "abc"} == {"a": 3, "b": 3, "c": 3}

    asyncio.run(main())


def test_of_several_cameras_one_may_go() -> None:
    async def main() -> None:
        one, two = PreviewTap("one"), PreviewTap("two")
        async with watch([one, two]) as viewer:
            one.close()
            two.offer(frame(5))
            assert (await next_of(viewer)).sequence == 5
            two.close()
            assert await soon(viewer.next()) is None

    asyncio.run(main())


def test_a_snapshot_is_new_and_a_silent_camera_is_named() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            camera = rig.cameras["door"]
            first = await camera.tap.snapshot(DEADLINE_S)
            offered = camera.offered
            assert (await camera.tap.snapshot(DEADLINE_S)).sequence > first.sequence
            assert camera.offered > offered
            camera.pause()
            with pytest.raises(SourceUnavailableError, match=r"'door'.*0\.05 s"):
                await camera.tap.snapshot(0.05)
        with pytest.raises(SourceUnavailableError, match="'door' is gone"):
            await camera.tap.snapshot(DEADLINE_S)

    asyncio.run(main())


@pytest.mark.parametrize(
    "image",
    [
        np.full((360, 2000), 9, np.uint8),
        np.full((360, 2000, 1), 9, np.uint8),
        np.full((360, 2000, 4), 9, np.uint8),
        np.full((360, 2000, 3), 0.5, np.float32),
        np.full((360, 2000), 900, np.uint16),
        np.ones((360, 2000), np.bool_),
        np.full((720, 4000, 3), 9, np.uint8)[::2, ::2],
        np.full((1, 1, 3), 9, np.uint8),
    ],
)
def test_any_picture_a_stage_leaves_is_shown(image: NDArray[Any]) -> None:
    async def main() -> None:
        tap = PreviewTap("door")
        async with tap.watch() as viewer:
            tap.offer(frame(1, image))
            found = await next_of(viewer)
        assert found.size_wh == (image.shape[1], image.shape[0])
        shown = decode(found.jpeg)
        assert shown.shape[1] <= 960
        assert abs(shown.shape[1] / shown.shape[0] - image.shape[1] / image.shape[0]) < 0.05

    asyncio.run(main())


@pytest.mark.parametrize("shape", [(0, 8, 3), (8, 0, 3), (8, 8, 2)])
def test_what_is_no_picture_is_counted_and_said_once(
    shape: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        tap = PreviewTap("door", max_fps=1e6)

        def counted(count: int) -> bool:
            return tap.failed == count

        async with tap.watch() as viewer:
            with caplog.at_level(logging.WARNING):
                for count in range(1, 6):
                    tap.offer(frame(1, np.zeros(shape, np.uint8)))
                    await until(counted, count)
                tap.offer(frame(2))
                assert (await next_of(viewer)).sequence == 2
        warnings = [r for r in caplog.records if r.name == "edgevision.web.tap"]
        assert len(warnings) == 1
        assert "'door'" in warnings[0].getMessage()

    asyncio.run(main())


def test_a_loop_that_was_closed_under_its_viewers_disturbs_nobody() -> None:
    tap = PreviewTap("door", max_fps=1e6)
    loop = asyncio.new_event_loop()
    viewing = tap.watch()
    loop.run_until_complete(viewing.__aenter__())
    loop.close()
    for sequence in range(1, 1000):
        tap.offer(frame(sequence, picture((640, 360))))
        if tap.encoded >= 2:
            break
        time.sleep(0.005)
    assert tap.encoded >= 2
    tap.close()
    wait_for_no_encoder()


@pytest.mark.parametrize(
    "options", [{"max_fps": 0}, {"max_fps": float("nan")}, {"max_width": 8}, {"jpeg_quality": 101}]
)
def test_a_number_out_of_its_range_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        PreviewTap("door", **options)
