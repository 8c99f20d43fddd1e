"""Who may talk to the server, and what a browser may do with its answers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re

import pytest

from edgevision.web.guard import content_security_policy, is_loopback
from edgevision.web.server import WebServer
from tests.unit.web.client import DEADLINE_S, get, picture_of
from tests.unit.web.rig import Rig


async def raw(server: WebServer, request: str) -> bytes:
    """Send a request as it stands and return the whole answer."""
    host, _, port = server.url.removeprefix("http://").rstrip("/").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request.encode())
        return await asyncio.wait_for(reader.read(), DEADLINE_S)
    finally:
        writer.close()
        await writer.wait_closed()


def answer(*lines: str, host: str = "127.0.0.1") -> bytes:
    """Return the answer of a server on ``host`` to a request of these lines."""

    async def main() -> bytes:
        with Rig("door") as rig:
            server = WebServer(host, 0, status=rig.status, taps=rig.taps)
            await server.start()
            try:
                return await raw(server, "\r\n".join([*lines, "Connection: close", "", ""]))
            finally:
                await server.stop()

    return asyncio.run(main())


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:9", "[::1]:8080", "[::1]", "127.8.9.1"],
)
def test_the_names_of_this_machine_are_answered(host: str) -> None:
    assert answer("GET /status HTTP/1.1", f"Host: {host}").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example#localhost",
        "localhost@evil.example",
        "10.0.0.5",
        "[::2]:8080",
        "localhost:8080:80",
        "",
    ],
)
def test_another_name_is_refused_so_that_rebinding_reads_nothing(host: str) -> None:
    got = answer("GET /status HTTP/1.1", f"Host: {host}")
    assert got.startswith(b"HTTP/1.1 403 ")
    assert b'"cameras"' not in got
    assert b"web.host" in got


def test_a_request_without_a_host_is_refused() -> None:
    assert b" 200 " not in answer("GET /status HTTP/1.0").splitlines()[0]


def test_a_server_that_is_open_to_others_answers_to_any_name() -> None:
    got = answer("GET /status HTTP/1.1", "Host: camera.example", host="0.0.0.0")
    assert got.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"], 403),
        (["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"], 403),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"], 200),
        (["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"], 200),
        (["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"], 200),
    ],
)
def test_a_page_of_another_site_may_link_but_not_embed(lines: list[str], status: int) -> None:
    got = answer("GET /cameras/door/snapshot.jpg HTTP/1.1", "Host: localhost", *lines)
    assert got.startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/status", "/events", "/cameras/door/video"])
def test_nothing_but_reading(method: str, path: str) -> None:
    got = answer(f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Length: 0")
    assert got.startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("path", ["/events", "/video", "/cameras/door/video"])
def test_a_head_request_opens_no_channel(path: str) -> None:
    assert answer(f"HEAD {path} HTTP/1.1", "Host: localhost").startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("path", ["/", "/status", "/nothing", "/metrics", "/cameras/gate/video"])
@pytest.mark.parametrize("host", ["localhost", "evil.example"])
def test_every_answer_has_the_security_headers(path: str, host: str) -> None:
    head = answer(f"GET {path} HTTP/1.1", f"Host: {host}").split(b"\r\n\r\n")[0].decode()
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "edgevision"
    assert not [name for name in headers if name.startswith("Access-Control")]


def test_pictures_of_an_open_server_may_be_embedded_and_the_page_may_not() -> None:
    got = answer("GET / HTTP/1.1", "Host: x", host="0.0.0.0")
    assert b"Cross-Origin-Resource-Policy: cross-origin" in got
    assert b"frame-ancestors 'none'" in got


def test_the_policy_lets_exactly_the_page_s_own_script_and_style_run() -> None:
    async def main() -> tuple[str, str]:
        with Rig() as rig:
            async with rig.served() as server, get(server.url) as response:
                return await response.text(), response.headers["Content-Security-Policy"]

    page, policy = asyncio.run(main())
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy
    assert not re.search(r"\son\w+=", page), "an attribute with a script would not run"
    assert not re.search(r"\sstyle=", page), "an attribute with a style would not apply"


def test_a_page_with_two_scripts_is_refused() -> None:
    page = "<style></style><script></script><script></script>"
    with pytest.raises(ValueError, match="one <script> element, it has 2"):
        content_security_policy(page)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.5", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_what_is_loopback(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_so_many_viewers_and_no_more() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            async with rig.served(max_viewers=2) as server:
                video = server.url + "video?camera=door"
                async with get(video) as one, get(video) as two:
                    await picture_of(one.content)
                    await picture_of(two.content)
                    for path in ("events", "cameras/door/video", "cameras/door/snapshot.jpg"):
                        async with get(server.url + path) as response:
                            assert response.status == 503
                            assert "2 viewers are watching already" in await response.text()
                    async with get(server.url + "status") as response:
                        assert response.status == 200

    asyncio.run(main())
