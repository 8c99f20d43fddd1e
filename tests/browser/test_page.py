"""The preview page in a real browser: pictures, numbers, and what happens when things go."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import Any

import pytest
from playwright.async_api import Page, expect

from edgevision.annotation import color_of
from edgevision.status import UpstreamStatus
from edgevision.web.server import WebServer
from tests.browser.chromium import opened, pixel
from tests.unit.web.client import until
from tests.unit.web.rig import BOX_XYXY, SIZE_WH, Rig, stages

MOVES = """name => {
    const canvas = document.querySelector(`[data-camera="${name}"] canvas`);
    const first = Number(canvas.dataset.sequence || 0), began = performance.now();
    return new Promise((done, fail) => {
        const look = () => {
            if (Number(canvas.dataset.sequence) > first) done();
            else if (performance.now() - began > 10000) fail(new Error(`${name} stands still`));
            else setTimeout(look, 20);
        };
        look();
    });
}"""


def tile(page: Page, camera: str) -> Any:
    return page.locator(f'[data-camera="{camera}"]')


expect.set_options(timeout=15_000)


async def showing(page: Page, camera: str) -> None:
    """Wait until a camera's picture is there."""
    await page.wait_for_selector(f'[data-camera="{camera}"] canvas[data-sequence]')


def near(color: tuple[int, int, int], wanted: tuple[int, int, int]) -> bool:
    return max(abs(a - b) for a, b in zip(color, wanted, strict=True)) < 60


def test_a_box_is_seen_where_it_is_and_the_picture_moves() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served() as server, opened(server.url) as page:
                await showing(page, "door")
                await page.evaluate(MOVES, "door")
                left, top, right, bottom = BOX_XYXY
                x0, x1 = left / SIZE_WH[0], (right - 1) / SIZE_WH[0]
                y0, y1 = top / SIZE_WH[1], (bottom - 1) / SIZE_WH[1]
                blue, green, red = color_of("person")
                edge = red, green, blue
                for x, y in ((x0, 0.5), (x1, 0.5), (0.375, y1)):
                    found = await pixel(page, "door", x, y)
                    assert near(found, edge), (x, y, found, edge)
                assert near(await pixel(page, "door", 0.375, 0.5), (255, 255, 255))
                assert near(await pixel(page, "door", x0 - 0.03, 0.5), (40, 40, 40))
                assert near(await pixel(page, "door", 0.375, y0 - 0.06), (40, 40, 40))
                label = await pixel(page, "door", x0 + 0.002, y0 - 0.02)
                assert near(label, edge), "the label's background, above the box"

    asyncio.run(main())


def test_the_numbers_follow_the_status() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            camera = rig.cameras["door"]
            camera.change(fps=24.94, latency_ms=12.34, latency_p95_ms=31.0, stages=stages())
            rig.upstreams = [UpstreamStatus("hub", 1234, 2, 5, "no connection")]
            async with rig.served() as server, opened(server.url) as page:
                door = tile(page, "door")
                await expect(door.locator(".fps")).to_have_text("24.9")
                await expect(door.locator(".latency")).to_have_text("12 ms ≤ 31 ms")
                await expect(door.locator(".state")).to_have_text("●live")
                await expect(door.locator(".dropping")).to_be_hidden()
                await expect(door.locator(".stages")).to_contain_text("motion 3.3 ms")
                await expect(door.locator(".stages .trouble")).to_have_text(
                    "people: 3 errors, the last: ValueError: empty crop"
                )
                await expect(page.locator("#upstreams")).to_have_text(
                    "hub: 1,234 sent, 5 waiting, 2 failed · no connection"
                )
                await expect(page.locator("#summary")).to_contain_text("1 of 1 camera live")
                await expect(door.locator(".found")).to_have_text("person 1")
                await expect(door.locator(".values")).to_have_text("people1")
                await expect(page).to_have_title("1/1 live · gate")

                camera.change(
                    fps=3.0,
                    dropped={"latest": 30, "motion: night": 4},
                    state="backing off",
                    state_since_s=time.time() - 12,
                    detail="no answer from 10.0.0.5:554",
                )
                camera.pause()
                await expect(door.locator(".fps")).to_have_text("3.0")
                await expect(door.locator(".state")).to_contain_text("backing off for 1")
                await expect(door.locator(".why")).to_have_text("no answer from 10.0.0.5:554")
                await expect(door.locator(".veil")).to_contain_text("no answer from 10.0.0.5:554")
                await expect(door.locator("canvas")).to_have_css("filter", re.compile("gray"))
                await expect(door.locator(".causes")).to_have_text("latest30motion: night4")
                await expect(door.locator(".dropped")).to_contain_text("34")
                await expect(page).to_have_title("0/1 live · gate")
                camera.change(state="live", stuck_stage="people")
                await expect(door.locator(".state")).to_have_text("✕stuck")
                await expect(door.locator(".why")).to_contain_text("Stage people does not return.")

    asyncio.run(main())


def test_more_cameras_than_a_browser_has_connections() -> None:
    names = [f"c{i}" for i in range(8)]

    async def main() -> None:
        with Rig(*names, fps=10) as rig:
            async with (
                rig.served() as server,
                opened(server.url, width=1600, height=2400) as page,
            ):
                for name in names:
                    await showing(page, name)
                    await page.evaluate(MOVES, name)
                rig.module = "still followed"
                await expect(page.locator("#module")).to_have_text("still followed")

    asyncio.run(main())


def test_cameras_come_and_go_and_keep_their_order() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served() as server, opened(server.url) as page:
                await showing(page, "door")
                rig.add("gate")
                await showing(page, "gate")
                rig.cameras = {name: rig.cameras[name] for name in ("gate", "door")}
                await expect(page.locator(".tile h2")).to_have_text(["gate", "door"])
                rig.remove("door")
                await expect(page.locator(".tile h2")).to_have_text(["gate"])
                await page.evaluate(MOVES, "gate")
                rig.remove("gate")
                await expect(page.locator("#empty")).to_have_text("No camera is configured.")
                rig.add("new")
                await showing(page, "new")
                await expect(page.locator("#empty")).to_be_hidden()

    asyncio.run(main())


def test_a_name_and_a_value_are_never_markup() -> None:
    name = '<img src=x onerror="document.title=1">'

    async def main() -> None:
        with Rig(name) as rig:
            rig.cameras[name].change(detail=name, dropped={name: 1}, source=name)
            async with rig.served() as server, opened(server.url) as page:
                await page.wait_for_selector("canvas[data-sequence]")
                await expect(page.locator(".tile h2")).to_have_text(name)
                assert await page.locator("img").count() == 0
                href = await page.locator(".links a").first.get_attribute("href")
                assert href is not None
                assert "<" not in href
                answer = await page.request.get(server.url + href)
                assert answer.headers["content-type"] == "image/jpeg"

    asyncio.run(main())


def test_a_hidden_page_fetches_nothing() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            tap = rig.cameras["door"].tap
            async with rig.served() as server, opened(server.url) as page:
                await showing(page, "door")
                hide = """hidden => {
                    const property = { value: hidden, configurable: true };
                    Object.defineProperty(document, "hidden", property);
                    document.dispatchEvent(new Event("visibilitychange"));
                }"""
                await page.evaluate(hide, True)
                await until(lambda: tap.viewers == 0)
                await until(lambda: not server._site._watching)
                encoded = tap.encoded
                offered = rig.cameras["door"].offered
                await until(lambda: rig.cameras["door"].offered > offered + 10)
                assert tap.encoded <= encoded + 1
                await page.evaluate(hide, False)
                await until(lambda: tap.viewers == 1)
                await page.evaluate(MOVES, "door")

    asyncio.run(main())


def test_only_what_is_on_the_screen_is_fetched() -> None:
    names = [f"c{i}" for i in range(6)]

    async def main() -> None:
        with Rig(*names) as rig:

            def watched(camera: str, *others: str) -> bool:
                """Return whether ``camera`` is watched and the ``others`` are not."""
                taps = rig.taps()
                return bool(taps[camera].viewers) and not any(taps[o].viewers for o in others)

            async with (
                rig.served() as server,
                opened(server.url, width=400, height=500) as page,
            ):
                await showing(page, "c0")
                await until(watched, "c0", "c2", "c3", "c4", "c5")
                await page.evaluate("scrollTo(0, document.body.scrollHeight)")
                await until(watched, "c5", "c0", "c1", "c2", "c3")
                await showing(page, "c5")
                await page.evaluate(MOVES, "c5")
                assert await tile(page, "c2").locator("canvas[data-sequence]").count() == 0

    asyncio.run(main())


def test_enlarging_by_click_key_and_address() -> None:
    async def main() -> None:
        with Rig("door", "gate") as rig:
            async with rig.served() as server:
                async with opened(server.url) as page:
                    await showing(page, "door")
                    await tile(page, "door").locator("canvas").click()
                    await expect(page.locator(".large h2")).to_have_text("door")
                    await until(lambda: rig.cameras["gate"].tap.viewers == 0)
                    assert page.url.endswith("#door")
                    box = await page.locator(".large").bounding_box()
                    assert box is not None
                    assert (box["width"], box["height"]) == (1280, 800)
                    focused = await page.evaluate("document.activeElement.ariaLabel")
                    assert focused == "Back to all cameras"
                    await page.keyboard.press("Escape")
                    await expect(page.locator(".large")).to_have_count(0)
                    await until(lambda: rig.cameras["gate"].tap.viewers == 1)
                    focused = await page.evaluate("document.activeElement.ariaLabel")
                    assert focused == "Enlarge camera door", "the focus is back where it was"
                    await tile(page, "gate").locator(".zoom").focus()
                    await page.keyboard.press("Enter")
                    await expect(page.locator(".large h2")).to_have_text("gate")
                    await page.evaluate(MOVES, "gate")
                    await page.go_back()
                    await expect(page.locator(".large")).to_have_count(0)
                async with opened(server.url + "#gate") as page:
                    await expect(page.locator(".large h2")).to_have_text("gate")
                    await page.evaluate(MOVES, "gate")
                    rig.remove("gate")
                    await expect(page.locator(".large")).to_have_count(0)
                    await page.evaluate(MOVES, "door")

    asyncio.run(main())


def test_the_page_comes_back_when_the_server_does() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            first = WebServer(port=0, status=rig.status, taps=rig.taps)
            await first.start()
            port = int(first.url.rstrip("/").rpartition(":")[2])
            try:
                # The browser itself writes about each failed connection.
                async with opened(first.url, quiet=False) as page:
                    await showing(page, "door")
                    await first.stop()
                    await expect(page.locator("#notice")).to_contain_text("Connection lost")
                    await expect(page).to_have_title("no connection · edgevision")
                    second = WebServer(port=port, status=rig.status, taps=rig.taps)
                    await second.start()
                    try:
                        await expect(page.locator("#notice")).to_be_hidden()
                        await showing(page, "door")
                        await page.evaluate(MOVES, "door")
                    finally:
                        await second.stop()
            finally:
                await first.stop()

    asyncio.run(main())


class Line:
    """A network between browser and server, which can fall silent without closing anything."""

    def __init__(self, port: int) -> None:
        self.silent = False
        self.url = ""
        self._port = port
        self._ends: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Line:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        await self._server.wait_closed()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends |= {writer, far_writer}
        # A connection that was opened or alive while the line was silent stays dead.
        alive = [True]
        await asyncio.gather(
            self._copy(reader, far_writer, alive), self._copy(far_reader, writer, alive)
        )

    async def _copy(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, alive: list[bool]
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                alive[0] = alive[0] and not self.silent
                if alive[0]:
                    sink.write(data)
                    await sink.drain()
        sink.close()


def test_a_network_that_falls_silent_is_noticed_and_left_behind() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served() as server:
                port = int(server.url.rstrip("/").rpartition(":")[2])
                async with Line(port) as line, opened(line.url) as page:
                    await showing(page, "door")
                    line.silent = True
                    await expect(page.locator("#notice")).to_contain_text("Connection lost")
                    await expect(tile(page, "door")).to_have_class("tile old")
                    line.silent = False
                    await expect(page.locator("#notice")).to_be_hidden()
                    await page.evaluate(MOVES, "door")

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_both_themes_fit_their_window_and_can_be_read(scheme: str, width: int) -> None:
    async def main() -> None:
        with Rig("door", "a camera with quite a long name, in the far corner of hall 7") as rig:
            rig.cameras["door"].change(
                dropped={"latest": 1234567, "a-cause-without-any-space-" * 4: 3},
                detail="no answer from " + "x" * 200,
                stages=stages(),
                latency_ms=1234.5,
                latency_p95_ms=23456.0,
                fps=119.9,
            )
            async with (
                rig.served() as server,
                opened(server.url, width=width, color_scheme=scheme) as page,
            ):
                await showing(page, "door")
                await page.locator("summary").first.click()
                overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert overflow <= 0, f"the page is {overflow} px wider than its window"
                ratios = await page.evaluate(CONTRAST)
                assert ratios, "texts were found"
                # 4.5 is the contrast of WCAG 2.1, level AA.
                assert not [found for found in ratios if found["ratio"] < 4.5]
                assert len(await page.screenshot()) > 10_000

    asyncio.run(main())


# The contrast of each text with the ground behind it, after WCAG 2.1, "contrast ratio". Texts over
# the picture have a shadow and are left out.
CONTRAST = """() => {
    const parse = color => color.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map(c => c / 255)
            .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        const left_out = element.closest(".picture, script, template");
        if (!own || left_out || !element.checkVisibility()) continue;
        let ground = element;
        const behind = () => parse(getComputedStyle(ground).backgroundColor);
        while (behind()[3] === 0) ground = ground.parentElement;
        const [a, b] = [parse(getComputedStyle(element).color), behind()].map(light);
        found.push({ text: element.textContent.slice(0, 40),
            ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) });
    }
    return found;
}"""


def test_what_a_screen_reader_hears() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served() as server, opened(server.url) as page:
                await showing(page, "door")
                await expect(page.get_by_role("article", name="camera door")).to_be_visible()
                await expect(page.get_by_role("button", name="Enlarge camera door")).to_be_visible()
                picture = page.get_by_role("img", name="Live picture of camera door: 1 person")
                await expect(picture).to_be_visible()
                await expect(page.get_by_role("heading", name="door")).to_be_visible()

    asyncio.run(main())
