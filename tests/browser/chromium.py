"""A headless Chromium with one page of the preview server."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Any

from playwright.async_api import ConsoleMessage, Page, async_playwright

__all__ = ["opened", "pixel"]

# No sandbox, because tests may run as root in a container; no network services of its own.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.asynccontextmanager
async def opened(
    url: str, *, quiet: bool = True, width: int = 1280, height: int = 800, **options: Any
) -> AsyncIterator[Page]:
    """Open ``url``.

    Args:
        url: address of the page.
        quiet: whether an error in the browser's console fails the test; it does at the end.
        width: of the window, in pixels.
        height: of the window, in pixels.
        options: of the browser's context, such as ``color_scheme``.
    """
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=_ARGUMENTS
        )
        try:
            viewport: Any = {"width": width, "height": height}
            context = await browser.new_context(viewport=viewport, **options)
            page = await context.new_page()
            page.set_default_timeout(15_000)
            page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
            page.on("console", lambda message: complaints.extend(_complaint(message)))
            await page.goto(url)
            yield page
        finally:
            await browser.close()
    assert not (quiet and complaints), complaints


def _complaint(message: ConsoleMessage) -> list[str]:
    if message.type not in ("error", "warning"):
        return []
    return [f"{message.type}: {message.text} ({message.location['url']})"]


async def pixel(page: Page, camera: str, x: float, y: float) -> tuple[int, int, int]:
    """Return the red, green and blue of a camera's picture at ``x``, ``y`` in 0 to 1."""
    found = await page.evaluate(
        """([camera, x, y]) => {
            const canvas = document.querySelector(`[data-camera="${camera}"] canvas`);
            const copy = document.createElement("canvas");
            [copy.width, copy.height] = [canvas.width, canvas.height];
            const context = copy.getContext("2d");
            context.drawImage(canvas, 0, 0);
            const at = (n, size) => Math.min(size - 1, Math.round(n * size));
            return [...context.getImageData(at(x, copy.width), at(y, copy.height), 1, 1).data];
        }""",
        [camera, x, y],
    )
    return found[0], found[1], found[2]
