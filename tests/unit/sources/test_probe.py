"""A camera that cannot be opened is asked why."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from edgevision.sources import probe
from edgevision.testing.cameras import MjpegCamera


@contextmanager
def server(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Answer one connection after the other; None at the end keeps silent."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answer in answers:
                connection, _ = listening.accept()
                with connection:
                    request = b""
                    while b"\r\n\r\n" not in request:
                        received = connection.recv(4096)
                        if not received:
                            break
                        request += received
                    requests.append(request)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], requests
        thread.join(5)


def test_a_port_that_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert probe.why_unreachable("127.0.0.1", listening.getsockname()[1], 1) is None
        assert probe.why_unreachable("localhost", listening.getsockname()[1], 1) is None


def test_a_port_that_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert probe.why_unreachable("127.0.0.1", port, 1) == (
        f"connection refused: nothing listens on port {port}"
    )


def test_a_name_that_is_not_known() -> None:
    assert probe.why_unreachable("camera.invalid", 554, 5) == "the host name is not known"


def test_a_name_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def slow(*arguments: object, **options: object) -> list[object]:
        gate.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    before_s = time.monotonic()
    reason = probe.why_unreachable("camera.example", 554, 0.05)
    assert time.monotonic() - before_s < 5
    assert reason == "the host name was not looked up within 0.05 s"
    gate.set()


def test_a_host_that_does_not_answer() -> None:
    # A listening socket whose queue is full drops further connections, as a firewall does.
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(address)
        before_s = time.monotonic()
        reason = probe.why_unreachable("127.0.0.1", address[1], 0.1)
        assert time.monotonic() - before_s < 5
        for connection in waiting:
            connection.close()
    assert reason == f"no answer from port {address[1]} within 0.1 s"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", probe.Answer(404, "Not Found")),
        (b"HTTP/1.0 503\r\n\r\n", probe.Answer(503)),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=x\r\n\r\n<html>",
            probe.Answer(200, "OK", "text/html"),
        ),
        (b"SSH-2.0-OpenSSH\r\n\r\n", probe.Answer(0)),
        (b"", probe.Answer(0)),
    ],
)
def test_http_answers(answer: bytes, expected: probe.Answer) -> None:
    with server(answer) as (port, requests):
        assert probe.ask(urlsplit(f"http://127.0.0.1:{port}/a/b?c=d"), 5) == expected
    assert requests[0].startswith(f"GET /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())


def test_an_rtsp_request_has_no_credentials_in_its_url() -> None:
    with server(b"RTSP/1.0 454 Session Not Found\r\n\r\n") as (port, requests):
        answer = probe.ask(urlsplit(f"rtsp://ada:secret@127.0.0.1:{port}/a?b=c"), 5)
    assert answer == probe.Answer(454, "Session Not Found")
    assert requests[0].startswith(
        f"DESCRIBE rtsp://127.0.0.1:{port}/a?b=c RTSP/1.0\r\nCSeq: 1\r\n".encode()
    )
    assert b"secret" not in requests[0]


def test_silence_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = urlsplit(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        with pytest.raises(TimeoutError):
            probe.ask(url, 0.1)


def test_basic_credentials_are_decoded() -> None:
    with MjpegCamera(user="ada", password="p:@/w %41") as camera:
        camera.end_after = 0
        assert probe.ask(urlsplit(camera.url), 5).status == 200
        assert probe.ask(urlsplit(camera.url_as("ada", "wrong")), 5).status == 401
        assert probe.ask(urlsplit(camera.url_as(None, None)), 5).status == 401
        assert camera.connections == 5


# The example of RFC 2069, section 2.4, with the response that its erratum 749 gives.
CHALLENGE = (
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="testrealm@host.com", '
    b'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"%s'
    b"\r\n\r\n"
)


def test_digest_credentials() -> None:
    with server(CHALLENGE % b"", b"HTTP/1.1 200 OK\r\n\r\n") as (port, requests):
        url = f"http://Mufasa:CircleOfLife@127.0.0.1:{port}/dir/index.html"
        assert probe.ask(urlsplit(url), 5).status == 200
    assert b"Authorization" not in requests[0]
    assert b'response="1949323746fe6a43ef61f9606e7febea"' in requests[1]
    assert b'username="Mufasa"' in requests[1]


def test_digest_with_quality_of_protection() -> None:
    import hashlib

    with server(CHALLENGE % b', qop="auth"', b"HTTP/1.1 200 OK\r\n\r\n") as (port, requests):
        url = f"http://Mufasa:Circle%20Of%20Life@127.0.0.1:{port}/dir/index.html"
        assert probe.ask(urlsplit(url), 5).status == 200
    login = requests[1].decode()
    cnonce = re.search('cnonce="([^"]+)"', login)
    response = re.search(' response="([^"]+)"', login)
    assert cnonce
    assert response
    # 939e75... is H(A1) of the example in RFC 2617, section 3.5, and 39aff3... its H(A2).
    expected = hashlib.md5(
        f"939e7578ed9e3c518a452acee763bce9:dcd98b7102dd2f0e8b11d0f600bfb0c093:00000001:"
        f"{cnonce[1]}:auth:39aff3a2bab6126f332b942af96d3366".encode()
    ).hexdigest()
    assert response[1] == expected
    assert "qop=auth, nc=00000001" in login
