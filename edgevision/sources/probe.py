"""Find out why a camera on the network cannot be opened.

OpenCV says only that a URL did not open. These functions ask the server itself: a TCP connection,
and then one request, DESCRIBE (RFC 2326 section 10.2) or GET, whose status says the rest. Basic
(RFC 7617) and digest (RFC 7616, MD5) authentication are answered, so that refused credentials are
told from other faults.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlunsplit

__all__ = ["Answer", "ask", "default_port", "why_unreachable"]

_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_CHALLENGE = re.compile(r"^WWW-Authenticate:\s*(\w+)\s*(.*)$", re.IGNORECASE | re.MULTILINE)
_CONTENT_TYPE = re.compile(r"^Content-Type:\s*([^;\s]+)", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"(?:RTSP|HTTP)/\d\.\d (\d{3}) ?(.*)")
_PARAMETER = re.compile(r'(\w+)="?([^",]*)"?')


def default_port(scheme: str) -> int:
    """Return the port that a scheme stands for."""
    return _PORTS[scheme]


def why_unreachable(host: str, port: int, timeout_s: float) -> str | None:
    """Connect by TCP and say in words what went wrong, or None when it worked.

    Returns within about ``timeout_s``, the look-up of the name included.
    """
    deadline_s = time.monotonic() + timeout_s
    try:
        _connect(host, port, deadline_s).close()
    except OSError as error:
        return _explained(error, port, timeout_s)
    return None


@dataclass(frozen=True)
class Answer:
    """What a server says to a request.

    Attributes:
        status: the three-digit code; 0 if it did not answer in time.
        reason: the words after it.
        content_type: of an HTTP answer, such as ``text/html``; may be empty.
    """

    status: int
    reason: str = ""
    content_type: str = ""


def ask(url: SplitResult, timeout_s: float) -> Answer:
    """Send DESCRIBE or GET for ``url``, with its credentials, and return what comes back.

    Raises:
        OSError: the connection could not be made or broke.
    """
    deadline_s = time.monotonic() + timeout_s
    answer, headers = _exchange(url, "", deadline_s)
    if answer.status == 401 and url.username is not None:
        for scheme, parameters in _CHALLENGE.findall(headers):
            login = _authorization(scheme, parameters, url)
            if login:
                answer, _ = _exchange(url, f"Authorization: {login}\r\n", deadline_s)
                break
    return answer


class _LookUpTimeoutError(TimeoutError):
    """The name server did not answer in time."""


def _connect(host: str, port: int, deadline_s: float) -> socket.socket:
    failure: OSError = TimeoutError()
    for family, kind, protocol, _, address in _resolve(host, port, deadline_s):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(max(0.001, deadline_s - time.monotonic()))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
            continue
        return connection
    raise failure


def _resolve(host: str, port: int, deadline_s: float) -> list[tuple[int, int, int, str, Any]]:
    """Look the name up; in a thread of its own, since a look-up cannot be given a time-out."""
    found: list[list[tuple[int, int, int, str, Any]]] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))  # type: ignore[arg-type]
        except OSError as error:
            failed.append(error)

    if _is_address(host):
        look_up()
    else:
        thread = threading.Thread(target=look_up, name=f"look up {host}", daemon=True)
        thread.start()
        thread.join(max(0.0, deadline_s - time.monotonic()))
    if failed:
        raise failed[0]
    if not found:
        raise _LookUpTimeoutError
    return found[0]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _explained(error: OSError, port: int, timeout_s: float) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"connection refused: nothing listens on port {port}"
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    if isinstance(error, _LookUpTimeoutError):
        return f"the host name was not looked up within {timeout_s:g} s"
    if isinstance(error, TimeoutError):
        return f"no answer from port {port} within {timeout_s:g} s"
    return error.strerror or type(error).__name__


def _exchange(url: SplitResult, extra: str, deadline_s: float) -> tuple[Answer, str]:
    """Send one request over a connection of its own; return the answer and its headers."""
    host = url.hostname or ""
    port = url.port or default_port(url.scheme)
    name = f"[{host}]" if ":" in host else host
    if url.scheme.startswith("rtsp"):
        target = urlunsplit(url._replace(netloc=f"{name}:{port}", fragment=""))
        request = f"DESCRIBE {target} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n"
    else:
        request = (
            f"GET {_path(url)} HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n"
            "Accept: */*\r\n"
        )
    request += f"User-Agent: edgevision\r\n{extra}\r\n"
    connection = _connect(host, port, deadline_s)
    try:
        connection.settimeout(max(0.001, deadline_s - time.monotonic()))
        if url.scheme in ("rtsps", "https"):
            # Like FFmpeg, which does not check the certificate: cameras sign their own.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection = context.wrap_socket(connection, server_hostname=host)
        connection.sendall(request.encode())
        received = b""
        while b"\r\n\r\n" not in received and len(received) < 65536:
            connection.settimeout(max(0.001, deadline_s - time.monotonic()))
            data = connection.recv(4096)
            if not data:
                break
            received += data
    finally:
        connection.close()
    head = received.partition(b"\r\n\r\n")[0].decode("latin-1").replace("\r\n", "\n")
    status = _STATUS.match(head)
    if not status:
        return Answer(0), head
    content_type = _CONTENT_TYPE.search(head)
    return Answer(int(status[1]), status[2].strip(), content_type[1] if content_type else ""), head


def _path(url: SplitResult) -> str:
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


def _authorization(scheme: str, parameters: str, url: SplitResult) -> str:
    user, password = unquote(url.username or ""), unquote(url.password or "")
    if scheme.lower() == "basic":
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    if scheme.lower() != "digest":
        return ""
    given = dict(_PARAMETER.findall(parameters))
    rtsp = url.scheme.startswith("rtsp")
    method = "DESCRIBE" if rtsp else "GET"
    host = url.hostname or ""
    name = f"[{host}]" if ":" in host else host
    port = url.port or default_port(url.scheme)
    target = urlunsplit(url._replace(netloc=f"{name}:{port}", fragment="")) if rtsp else _path(url)
    realm, nonce = given.get("realm", ""), given.get("nonce", "")
    secret = _md5(f"{user}:{realm}:{password}")
    request = _md5(f"{method}:{target}")
    fields = {"username": user, "realm": realm, "nonce": nonce, "uri": target}
    if "auth" in given.get("qop", ""):
        cnonce = _md5(f"{nonce}{time.monotonic_ns()}")[:16]
        fields["response"] = _md5(f"{secret}:{nonce}:00000001:{cnonce}:auth:{request}")
        more = f', qop=auth, nc=00000001, cnonce="{cnonce}"'
    else:
        fields["response"] = _md5(f"{secret}:{nonce}:{request}")
        more = ""
    return "Digest " + ", ".join(f'{key}="{value}"' for key, value in fields.items()) + more


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
