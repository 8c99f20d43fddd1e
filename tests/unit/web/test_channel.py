"""Clients that are slow, silent or gone, at the level of their sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from edgevision.web import site
from edgevision.web.server import WebServer
from tests.unit.web.client import DEADLINE_S, get, part, picture_of, soon, until
from tests.unit.web.rig import Camera, Rig


@contextlib.asynccontextmanager
async def connected(
    server: WebServer, path: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Ask for ``path`` with a small receive buffer, and read only when told to."""
    host, _, port = server.url.removeprefix("http://").rstrip("/").rpartition(":")
    plug = socket.socket()
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plug.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plug, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=plug, limit=1024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await writer.drain()
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def noisy(camera: Camera) -> None:
    """Give the camera a picture that makes a large JPEG."""
    rng = np.random.default_rng(1)
    camera._image = rng.integers(0, 255, camera._image.shape, np.uint8)


def test_a_client_who_does_not_read_is_cut_off_and_the_camera_goes_on() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            camera = rig.cameras["door"]
            noisy(camera)
            async with (
                rig.served(reading_timeout_s=0.3) as server,
                connected(server, "/cameras/door/video") as (reader, _),
            ):
                await until(lambda: camera.tap.viewers == 1)
                async with get(server.url + "video?camera=door") as other:
                    sequences: list[int] = []
                    while camera.tap.viewers == 2 or len(sequences) < 5:
                        sequences.append((await picture_of(other.content)).head["sequence"])
                assert sequences == sorted(set(sequences))
                await until(lambda: camera.tap.viewers == 0)
                runner: Any = server._runner
                await until(lambda: not runner.server.connections)
                with contextlib.suppress(ConnectionError):
                    while await soon(reader.read(65536)):
                        pass
                offered = camera.offered
                await until(lambda: camera.offered > offered + 5)

    asyncio.run(main())


def test_a_slow_client_skips_pictures_and_sees_new_ones() -> None:
    """After a pause, no backlog of old pictures comes first: neither here nor in the kernel."""

    async def main() -> None:
        with Rig("door", fps=200) as rig:
            camera = rig.cameras["door"]
            async with (
                rig.served() as server,
                connected(server, "/cameras/door/video") as (reader, _),
            ):
                assert b"200 OK" in await soon(reader.readline())
                encoded = camera.tap.encoded
                await until(lambda: camera.tap.encoded > encoded + 25)
                now = camera.offered
                text = b""
                old: list[int] = []
                while not old or old[-1] <= now:
                    text += await soon(reader.read(1000))
                    old = [
                        int(line[12:]) for line in text.splitlines() if line[:11] == b"X-Sequence:"
                    ]
                backlog = [sequence for sequence in old if sequence < now - 20]
                assert len(backlog) <= 3, f"before frame {now}: {old}"

    asyncio.run(main())


def test_clients_who_leave_are_noticed_even_while_nothing_is_sent() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            camera = rig.cameras["door"]
            async with rig.served() as server:
                async with get(server.url + "cameras/door/video") as response:
                    await part(response.content)
                    camera.pause()
                    assert camera.tap.viewers == 1
                await until(lambda: camera.tap.viewers == 0)

    asyncio.run(main())


@pytest.mark.parametrize("path", ["cameras/door/video", "video?camera=door"])
def test_a_camera_that_is_removed_ends_its_viewers(path: str) -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served() as server, get(server.url + path) as response:
                await soon(response.content.read(100))
                rig.remove("door")
                while await soon(response.content.read(65536)):
                    pass

    asyncio.run(main())


def test_a_camera_that_was_replaced_ends_its_viewers_though_nobody_closed_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site, "_PRESENCE_INTERVAL_S", 0.05)

    async def main() -> None:
        with Rig("door") as rig:
            camera = rig.cameras["door"]
            async with rig.served() as server, get(server.url + "cameras/door/video") as response:
                await part(response.content)
                camera.pause()
                del rig.cameras["door"]
                while await soon(response.content.read(65536)):
                    pass
            camera.stop()

    asyncio.run(main())


def test_of_two_cameras_one_may_go() -> None:
    async def main() -> None:
        with Rig("door", "gate") as rig:
            url = "video?camera=door&camera=gate"
            async with rig.served() as server, get(server.url + url) as response:
                await picture_of(response.content)
                rig.remove("door")
                newest = rig.cameras["gate"].offered
                while (await picture_of(response.content)).head["sequence"] <= newest:
                    pass

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))
