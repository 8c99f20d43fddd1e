"""Who may talk to the server, and what a browser may do with its answers."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

__all__ = ["content_security_policy", "guard", "is_loopback", "protect"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HOST = re.compile(r"(?P<name>\[[^\]]*\]|[^:\[\]]*)(?::\d{1,5})?\Z")


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine's own address, by its text alone."""
    name = host.removeprefix("[").removesuffix("]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a foreign web page may have made a browser on this machine ask for.

    A page whose own name suddenly resolves to 127.0.0.1 (DNS rebinding) could read the pictures
    as its own: its requests name it in the Host header, so only the names of this machine pass.
    A page elsewhere that embeds the pictures could not read them, and would make the cameras
    encode for it: browsers mark its requests with ``Sec-Fetch-Site``. Following a link is fine.

    Raises:
        HTTPForbidden: for both.
    """
    match = _HOST.match(request.headers.get("Host", ""))
    if match is None or not is_loopback(match["name"]):
        raise web.HTTPForbidden(
            text="This server answers to the names localhost, 127.0.0.1 and [::1] only, because "
            "it is open to this machine only. To reach it under another name, set web.host.\n"
        )
    foreign = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    if foreign and request.headers.get("Sec-Fetch-Mode") != "navigate":
        raise web.HTTPForbidden(text="Pages of other sites may not use this server.\n")
    return await handler(request)


def protect(policy: str, *, embeddable: bool) -> Callable[[web.Request, web.StreamResponse], None]:
    """Return a function that sets the security headers of an answer.

    Args:
        policy: the Content-Security-Policy.
        embeddable: whether pages of other sites may show the pictures.
    """
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "cross-origin" if embeddable else "same-origin",
        "Cache-Control": "no-store",
        # Instead of the names and versions of Python and aiohttp.
        "Server": "edgevision",
    }

    def apply(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    return apply


def content_security_policy(page: str) -> str:
    """Return the policy under which ``page`` runs: its own script and style, by hash, no other."""
    script, style = _only(page, "script"), _only(page, "style")
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_source(script)}",
            f"style-src {_source(style)}",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _only(page: str, element: str) -> str:
    found = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
    if len(found) != 1:
        raise ValueError(f"the page must have one <{element}> element, it has {len(found)}")
    text: str = found[0]
    return text


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
