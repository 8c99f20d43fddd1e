"""The server: where it listens, what it answers, how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from edgevision.annotation import color_of
from edgevision.errors import ConfigurationError
from edgevision.status import UpstreamStatus
from edgevision.web import server as server_module
from edgevision.web import site
from edgevision.web.server import WebServer
from tests.unit.web.client import decode, event, get, part, picture_of, soon, until
from tests.unit.web.rig import BOX_XYXY, Rig, stages

SECRET = "hunter2"


async def read_to_the_end(response: aiohttp.ClientResponse) -> None:
    """Read until the server ends the answer, in whichever way."""
    with contextlib.suppress(aiohttp.ClientError):
        await response.read()
    response.close()


def test_the_page_and_its_links_are_there() -> None:
    async def main() -> None:
        with Rig() as rig:
            async with rig.served() as server, get(server.url) as response:
                assert response.status == 200
                assert response.content_type == "text/html"
                page = await response.text()
        assert "<script>" in page
        assert "//" not in page.replace("http://www.w3.org/2000/svg", "").replace("// ", ""), (
            "the page asks nothing of another address"
        )

    asyncio.run(main())


def test_status_is_the_snapshot_of_this_moment() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            rig.upstreams = [UpstreamStatus("console", sent=5)]
            async with rig.served() as server:
                status: dict[str, Any] = {}
                for fps in (12.5, 13.5):
                    rig.cameras["door"].change(fps=fps, stages=stages())
                    async with get(server.url + "status") as response:
                        status = await response.json()
                    assert status["cameras"][0]["fps"] == fps
                assert status["module"] == "gate"
                assert status["cameras"][0]["stages"][2]["errors"] == 3
                assert status["upstreams"][0]["sent"] == 5

    asyncio.run(main())


def test_events_follow_the_status_and_cameras_that_come_and_go() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served() as server, get(server.url + "events") as response:
                assert response.content_type == "text/event-stream"
                first = await event(response.content)
                assert [camera["name"] for camera in first["cameras"]] == ["door"]
                rig.cameras["door"].change(state="stalled")
                rig.add("gate")
                second = await event(response.content)
                states = {camera["name"]: camera["state"] for camera in second["cameras"]}
                assert states == {"door": "stalled", "gate": "live"}
                assert second["run"] == first["run"]
                rig.remove("door")
                third = await event(response.content)
                assert [camera["name"] for camera in third["cameras"]] == ["gate"]

    asyncio.run(main())


def test_one_camera_as_mjpeg() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served() as server, get(server.url + "cameras/door/video") as response:
                assert response.headers["Content-Type"].startswith("multipart/x-mixed-replace; ")
                parts = [await part(response.content) for _ in range(4)]
        assert {p.head["Content-Type"] for p in parts} == {"image/jpeg"}
        sequences = [int(p.head["X-Sequence"]) for p in parts]
        assert sequences == sorted(set(sequences))
        assert abs(float(parts[0].head["X-Captured-At"]) - time.time()) < 60
        image = decode(parts[-1].jpeg)
        assert image.shape == (540, 960, 3)
        left, top, _, bottom = (edge * 3 // 4 for edge in BOX_XYXY)
        edge = image[(top + bottom) // 2, left].astype(int)
        assert abs(edge - color_of("person")).max() < 60

    asyncio.run(main())


def test_many_cameras_over_one_connection() -> None:
    async def main() -> None:
        names = [f"camera {i}" for i in range(8)]
        with Rig(*names) as rig:
            async with rig.served() as server:
                query = [("camera", name) for name in [*names, "gone", names[0]]]
                async with get(server.url + "video", params=query) as response:
                    seen: dict[str, int] = {}
                    while len(seen) < 8 or min(seen.values()) < 2:
                        found = await picture_of(response.content)
                        camera = found.head["camera"]
                        seen[camera] = seen.get(camera, 0) + 1
                        assert decode(found.jpeg).shape == (540, 960, 3)
                        assert found.head["size_wh"] == [1280, 720]
                        assert found.head["counts"] == {"person": 1}
                        assert found.head["values"] == {"people": 1}
                        assert len(found.head["colors"]["person"]) == 7
                    assert set(seen) == set(names)
                    # A name that comes twice is one viewer.
                    assert rig.cameras[names[0]].tap.viewers == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    "name", ["front/door", "a b&c=d", "<script>", "ä 人", "100%", "video", ".."]
)
def test_a_camera_may_have_any_name(name: str) -> None:
    async def main() -> None:
        with Rig(name) as rig:
            async with rig.served() as server:
                path = f"cameras/{quote(name, safe='')}/snapshot.jpg"
                if name != "..":  # which every client takes out of a path
                    async with get(URL(server.url + path, encoded=True)) as response:
                        assert response.status == 200
                        assert response.content_type == "image/jpeg"
                        assert decode(await response.read()).shape == (540, 960, 3)
                async with get(server.url + "video", params={"camera": name}) as response:
                    assert (await picture_of(response.content)).head["camera"] == name

    asyncio.run(main())


@pytest.mark.parametrize(
    "path",
    ["cameras/gate/video", "cameras/gate/snapshot.jpg", "video", "video?camera=gate", "nothing"],
)
def test_what_is_not_there_is_not_found(path: str) -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served() as server, get(server.url + path) as response:
                assert response.status == 404
                assert rig.cameras["door"].tap.encoded == 0

    asyncio.run(main())


def test_a_snapshot_of_a_silent_camera_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "_SNAPSHOT_TIMEOUT_S", 0.05)

    async def main() -> None:
        with Rig("door") as rig:
            rig.cameras["door"].pause()
            await asyncio.sleep(0)
            async with (
                rig.served() as server,
                get(server.url + "cameras/door/snapshot.jpg") as response,
            ):
                assert response.status == 503
                assert "'door' has delivered no frame in 0.05 s" in await response.text()

    asyncio.run(main())


def test_health_and_readiness() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served() as server:

                async def verdict(path: str) -> tuple[int, dict[str, Any]]:
                    async with get(server.url + path) as response:
                        return response.status, await response.json()

                assert await verdict("health") == (
                    200,
                    {"ok": True, "reasons": [], "cameras": {"door": "live"}},
                )
                assert (await verdict("ready"))[0] == 200
                rig.cameras["door"].change(state="connecting")
                assert (await verdict("health"))[0] == 200
                status, body = await verdict("ready")
                assert (status, body["reasons"]) == (503, ["camera 'door' is connecting"])
                rig.cameras["door"].change(stuck_stage="people")
                status, body = await verdict("health")
                assert status == 503
                assert body["ok"] is False
                assert body["reasons"] == ["camera 'door': stage 'people' does not return"]

    asyncio.run(main())


def test_nothing_is_encoded_for_those_who_read_numbers() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served() as server:
                for path in ("", "status", "health", "ready", "metrics"):
                    async with get(server.url + path) as response:
                        assert response.status == 200
                        await response.read()
                async with get(server.url + "events") as response:
                    await event(response.content)
                    offered = rig.cameras["door"].offered
                    await until(lambda: rig.cameras["door"].offered > offered + 3)
                assert rig.cameras["door"].tap.encoded == 0

    asyncio.run(main())


def test_no_answer_holds_a_credential() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            url = f"rtsp://admin:{SECRET}@10.0.0.5/live"
            (stage, *_) = stages()
            rig.cameras["door"].change(
                source=url,
                state="failed",
                detail=f"cannot open {url}",
                dropped={f"no answer from {url}": 3},
                stages=[replace(stage, last_error=f"OSError: {url}", drops={url: 1})],
            )
            rig.upstreams = [UpstreamStatus("hub", detail=f"x;SharedAccessKey={SECRET}")]
            async with rig.served() as server:
                for path in ("", "status", "health", "ready", "metrics"):
                    async with get(server.url + path) as response:
                        assert SECRET not in await response.text()
                async with get(server.url + "events") as response:
                    assert SECRET not in json.dumps(await event(response.content))

    asyncio.run(main())


def test_the_url_is_known_from_start_to_stop() -> None:
    async def main() -> None:
        with Rig() as rig:
            server = WebServer(port=0, status=rig.status, taps=rig.taps)
            with pytest.raises(RuntimeError, match="start"):
                _ = server.url
            await server.stop()  # harmless
            await server.start()
            assert server.url.startswith("http://127.0.0.1:")
            assert not server.url.endswith(":0/")
            assert server.local
            await server.stop()
            with pytest.raises(RuntimeError, match="start"):
                _ = server.url
            await server.stop()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "start", "local"),
    [
        ("localhost", ("http://127.0.0.1:", "http://[::1]:"), True),
        ("0.0.0.0", ("http://127.0.0.1:",), False),
        ("[::1]", ("http://[::1]:",), True),
    ],
)
def test_other_hosts(
    host: str, start: tuple[str, ...], local: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        with Rig() as rig:
            server = WebServer(host, 0, status=rig.status, taps=rig.taps)
            await server.start()
            try:
                assert server.url.startswith(start)
                async with get(server.url + "status") as response:
                    assert response.status == 200
            finally:
                await server.stop()
            assert server.local is local
        warned = "everyone who reaches this machine" in caplog.text
        assert warned is not local

    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("needs IPv6 on the loopback interface")
    asyncio.run(main())


def test_a_port_in_use_is_named_with_the_ways_out() -> None:
    async def main() -> None:
        with Rig() as rig, socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = WebServer(port=port, status=rig.status, taps=rig.taps)
            with pytest.raises(ConfigurationError) as caught:
                await server.start()
            text = str(caught.value)
            assert f"127.0.0.1 port {port}: another program uses the port" in text
            assert "web.port" in text
            assert isinstance(caught.value.__cause__, OSError)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("no-such-name.invalid", "'no-such-name.invalid' cannot be resolved; set web.host"),
        ("192.0.2.7", "this machine has no such address; set web.host"),
    ],
)
def test_a_host_that_is_not_this_machine(host: str, words: str) -> None:
    async def main() -> None:
        with Rig() as rig:
            server = WebServer(host, 0, status=rig.status, taps=rig.taps)
            with pytest.raises(ConfigurationError, match=words):
                await server.start()
            await server.stop()

    asyncio.run(main())


def test_a_port_that_needs_more_rights() -> None:
    error = PermissionError(errno.EACCES, "Permission denied")
    text = server_module._reason("127.0.0.1", 80, error)
    assert text == (
        "the web server cannot listen on 127.0.0.1 port 80: permission denied; ports from 1024 on "
        "need no extra rights"
    )


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", 65536, "web.port must be 0 to 65535, got 65536"),
        ("127.0.0.1", -1, "got -1"),
        (" ", 8080, "web.host must be an address"),
    ],
)
def test_what_is_no_address_is_refused(host: str, port: int, words: str) -> None:
    with Rig() as rig, pytest.raises(ConfigurationError, match=words):
        WebServer(host, port, status=rig.status, taps=rig.taps)


def test_a_stopped_server_is_gone_and_its_port_free() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served() as server:
                url = server.url
                port = int(url.rstrip("/").rpartition(":")[2])
                async with aiohttp.ClientSession() as session:
                    async with session.get(url + "status"):
                        pass  # the connection stays open for the next request
                    video = await session.get(url + "cameras/door/video")
                    events = await session.get(url + "events")
                    await part(video.content)
                    began = time.monotonic()
                    await soon(server.stop())
                    # Part of the contract: a program ends in two seconds, whoever watches.
                    assert time.monotonic() - began < 0.5
                    for response in (video, events):
                        await soon(read_to_the_end(response))
                    with pytest.raises(aiohttp.ClientError):
                        await session.get(url)
            assert rig.cameras["door"].tap.viewers == 0
            again = WebServer(port=port, status=rig.status, taps=rig.taps)
            await again.start()
            await again.stop()

    asyncio.run(main())


def test_the_page_is_in_the_package() -> None:
    page = Path(server_module.__file__).with_name("page.html")
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
