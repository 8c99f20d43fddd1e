"""Reading the server's answers: MJPEG parts, the page's pictures, events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Awaitable
from typing import Any, NamedTuple, TypeVar

import aiohttp
import cv2
import numpy as np
from numpy.typing import NDArray
from yarl import URL

__all__ = ["DEADLINE_S", "Part", "decode", "event", "get", "part", "picture_of", "soon", "until"]

DEADLINE_S = 10.0

T = TypeVar("T")


class Part(NamedTuple):
    """One picture: what is said about it, and the JPEG."""

    head: dict[str, Any]
    jpeg: bytes


async def soon(awaitable: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaitable, DEADLINE_S)


async def until(true: Any, *arguments: Any) -> None:
    """Return once ``true(*arguments)`` is true; fail after `DEADLINE_S`."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + DEADLINE_S
    while not true(*arguments):
        assert loop.time() < deadline_s, "not true in time"
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def get(url: str | URL, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
    async with aiohttp.ClientSession() as session, session.get(url, **options) as response:
        yield response


async def part(content: aiohttp.StreamReader) -> Part:
    """Read the next part of an MJPEG answer, with the boundary in front of it."""
    line = await soon(content.readline())
    while line == b"\r\n":
        line = await soon(content.readline())
    assert line == b"--edgevision-picture\r\n"
    head: dict[str, Any] = {}
    while (line := await soon(content.readline())) != b"\r\n":
        name, _, value = line.decode().strip().partition(": ")
        head[name] = value
    return Part(head, await soon(content.readexactly(int(head["Content-Length"]))))


async def picture_of(content: aiohttp.StreamReader) -> Part:
    """Read the next picture in the form that the page takes."""
    (size,) = struct.unpack("!I", await soon(content.readexactly(4)))
    head: dict[str, Any] = json.loads(await soon(content.readexactly(size)))
    return Part(head, await soon(content.readexactly(head["bytes"])))


async def event(content: aiohttp.StreamReader) -> dict[str, Any]:
    """Read the next status event."""
    while True:
        line = await soon(content.readline())
        assert line, "the events have ended"
        if line.startswith(b"data: "):
            status: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
            return status


def decode(jpeg: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    typed: NDArray[Any] = image
    return typed
