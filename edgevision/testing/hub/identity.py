"""Module identities, their keys, and the tokens signed with them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from edgevision.errors import ConfigurationError

__all__ = ["HUB_NAME", "Identities", "Identity", "TokenError", "check_token"]

HUB_NAME = "stand-in.invalid"
"""Name of the IoT Hub that modules believe to be behind the edgeHub; no such host can exist."""

_SCHEME = "SharedAccessSignature "


class TokenError(Exception):
    """A token is not good for the identity that shows it."""


@dataclass(eq=False)
class Identity:
    """A module of a device.

    Attributes:
        device: id of the device.
        module: id of the module.
        generation_id: changes when the module is made anew.
        key: signs the module's tokens; never leaves the workload API.
    """

    device: str
    module: str
    generation_id: str = field(default_factory=lambda: str(secrets.randbelow(10**18)))
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @property
    def client_id(self) -> str:
        """What the module calls itself in MQTT."""
        return f"{self.device}/{self.module}"

    @property
    def resource(self) -> str:
        """What a token must be for, quoted as it stands in tokens."""
        plain = f"{HUB_NAME}/devices/{self.device}/modules/{self.module}"
        return quote(plain, safe="")

    def token(self, expires_s: float) -> str:
        """Return a shared access signature that is good until then, UTC seconds since 1970."""
        expiry = str(int(expires_s))
        signature = quote(self.sign(f"{self.resource}\n{expiry}".encode()), safe="")
        return f"{_SCHEME}sr={self.resource}&sig={signature}&se={expiry}"

    def sign(self, data: bytes) -> str:
        """Return the base64 of the HMAC-SHA256 of ``data``."""
        return base64.b64encode(hmac.new(self.key, data, hashlib.sha256).digest()).decode()


class Identities:
    """The modules that the hub and the workload API know; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Identity] = {}

    def register(self, device: str, module: str) -> Identity:
        """Return the identity, made if there is none.

        Raises:
            ConfigurationError: one of the two is no name.
        """
        for what, name in (("device", device), ("module", module)):
            if not name or set(name) & set("/+#"):
                raise ConfigurationError(f"{name!r} is no {what} id")
        with self._lock:
            return self._known.setdefault(f"{device}/{module}", Identity(device, module))

    def find(self, client_id: str) -> Identity | None:
        """Return the identity ``device/module``, or None."""
        with self._lock:
            return self._known.get(client_id)

    def find_generation(self, module: str, generation_id: str) -> Identity | None:
        """Return the identity of a module with this generation id, or None."""
        with self._lock:
            for identity in self._known.values():
                if identity.module == module and identity.generation_id == generation_id:
                    return identity
        return None

    def all(self) -> list[Identity]:
        """Return every identity, in the order of registration."""
        with self._lock:
            return list(self._known.values())


def check_token(token: str, identity: Identity, now_s: float) -> float:
    """Return when a shared access signature expires, in seconds since 1970.

    Args:
        token: the MQTT password.
        identity: who shows it.
        now_s: the hub's time.

    Raises:
        TokenError: it is malformed, for another resource, expired or signed with another key; the
            text holds nothing of the token.
    """
    if not token.startswith(_SCHEME):
        raise TokenError("the password is no shared access signature")
    fields = dict(part.partition("=")[::2] for part in token[len(_SCHEME) :].split("&"))
    missing = [name for name in ("sr", "sig", "se") if not fields.get(name)]
    if missing:
        raise TokenError(f"the token has no {' and no '.join(missing)}")
    if unquote(fields["sr"]) != unquote(identity.resource):
        raise TokenError(f"the token is not for {unquote(identity.resource)}")
    try:
        expires_s = float(int(fields["se"]))
    except ValueError as error:
        raise TokenError("the token's expiry is no number") from error
    signed = f"{fields['sr']}\n{fields['se']}".encode()
    if not hmac.compare_digest(identity.sign(signed), unquote(fields["sig"])):
        raise TokenError("the token is signed with another key")
    if expires_s <= now_s:
        raise TokenError(f"the token has expired {now_s - expires_s:.0f} s ago")
    return expires_s
