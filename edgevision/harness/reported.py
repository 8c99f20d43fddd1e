"""Reported properties: what the hub is told of the module, only what changed, and not too often."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from edgevision.harness.desired import merge
from edgevision.harness.transport import TransportError
from edgevision.redaction import redact

__all__ = ["MAX_BYTES", "Reporter", "difference", "encode_key", "fit"]

_log = logging.getLogger("edgevision.twin")

# https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-module-twins: 32 KB for all reported
# properties, 4 KB for a text, 1 KB for a key, 10 levels, integers of 53 bits. A part is kept for
# the hub's own $metadata, and because JSON is counted here and something shorter there.
MAX_BYTES = 30_000
"""Most bytes of a document that `fit` returns, as compact JSON."""

_MAX_TEXT_BYTES = 4000
_MAX_KEY_BYTES = 256
_MAX_DEPTH = 9
_MAX_INTEGER = 2**52

_RETRY_S = 5.0
_LONGEST_RETRY_S = 300.0


def encode_key(name: str) -> str:
    """Return ``name`` as a key of a twin: what the hub refuses in one is percent-encoded.

    Refused are ``. $ #``, space and control characters; the percent sign is encoded so that the
    name can be had back. A name that is too long is cut.
    """
    if not name:
        return "%"
    refused = " .$#%"
    text = "".join(
        "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))
        if char in refused
        or ord(char) < 32
        or 127 <= ord(char) < 160
        or "\ud800" <= char < "\ue000"
        else char
        for char in name
    )
    return text if len(text.encode()) <= _MAX_KEY_BYTES else _cut(text, _MAX_KEY_BYTES)


def fit(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``document`` within the limits of a twin.

    Keys are encoded, texts cut, credentials hidden; what lies too deep or is no JSON becomes text.
    If all of it is too large, the parameters of the cameras' stages are left out, the last cameras
    first, then whole cameras; ``truncated`` says so.
    """
    fitted: dict[str, Any] = _fitted(document, 1)
    if _size(fitted) <= MAX_BYTES:
        return fitted
    cameras = fitted.get("cameras", {})
    fitted["truncated"] = "the module has more cameras or parameters than a twin has room for"
    for whole in (False, True):
        for name in reversed(list(cameras)):
            if _size(fitted) <= MAX_BYTES:
                return fitted
            if whole:
                del cameras[name]
            else:
                cameras[name].pop("stages", None)
    for name in [name for name in fitted if name not in ("desired", "truncated")]:
        if _size(fitted) > MAX_BYTES:
            del fitted[name]
    return fitted


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch that makes ``after`` of ``before``; null for what is gone."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            inner = difference(old, value)
            if inner:
                patch[key] = inner
        elif key not in before or old != value or type(old) is not type(value):
            patch[key] = value
    return patch


class Reporter:
    """Keeps the reported properties as they should be; all on the event loop.

    Several changes within ``interval_s`` become one patch. A patch that the hub refuses is tried
    again part by part, so that one part that it does not like does not hide the others; that part
    is left out until it changes. Every other fault is tried again later, and after a connection the
    hub's own copy is what the next patch is made from.

    Args:
        document: returns what shall be reported.
        send: sends a patch; raises TransportError.
        interval_s: shortest time between two patches, but for those that are urgent.
        refresh_s: how often ``document`` is looked at though nobody said that it changed.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        document: Callable[[], Mapping[str, Any]],
        send: Callable[[Mapping[str, Any]], Awaitable[None]],
        *,
        interval_s: float = 5.0,
        refresh_s: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._document = document
        self._send = send
        self._interval_s = interval_s
        self._refresh_s = refresh_s
        self._clock = clock
        self._known: dict[str, Any] | None = None
        self._refused: dict[str, Any] = {}
        self._urgent = False
        self._wake = asyncio.Event()
        self._renewed = asyncio.Event()
        self._sent_at_s = -math.inf
        self._retry_s = _RETRY_S
        self._task: asyncio.Task[None] | None = None
        self.patches = 0
        """Patches that the hub has taken."""

    def start(self) -> None:
        """Begin; nothing is sent before `take_twin`."""
        self._task = asyncio.create_task(self._run(), name="reported properties")

    async def stop(self, timeout_s: float = 1.0) -> None:
        """Send what is still to be said for at most ``timeout_s``, and end."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        if self._known is not None:
            flushing = asyncio.ensure_future(self._report())
            await asyncio.wait({flushing}, timeout=timeout_s)
            flushing.cancel()

    def take_twin(self, reported: Mapping[str, Any]) -> None:
        """Take the hub's copy, as it comes with each connection."""
        self._known = {key: value for key, value in reported.items() if not key.startswith("$")}
        self._refused = {}
        self._retry_s = _RETRY_S
        self._renewed.set()
        self.changed(urgent=True)

    def changed(self, *, urgent: bool = False) -> None:
        """Say that there is something new; ``urgent`` does not wait for the interval."""
        self._urgent = self._urgent or urgent
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), self._refresh_s)
            except (TimeoutError, asyncio.TimeoutError):
                self._wake.clear()
            wait_s = self._sent_at_s + self._interval_s - self._clock()
            while wait_s > 0 and not self._urgent:
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), wait_s)
                except (TimeoutError, asyncio.TimeoutError):
                    break
                wait_s = self._sent_at_s + self._interval_s - self._clock()
            self._wake.clear()
            self._urgent = False
            if self._known is not None and not await self._report():
                self._renewed.clear()
                with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                    await asyncio.wait_for(self._renewed.wait(), self._retry_s)
                self._retry_s = min(2 * self._retry_s, _LONGEST_RETRY_S)
                self._wake.set()

    async def _report(self) -> bool:
        """Send what differs; say whether that went well or nothing helps."""
        wanted = fit(self._document())
        patch = self._patch(wanted)
        if not patch:
            return True
        self._sent_at_s = self._clock()
        try:
            await self._send_patch(patch)
        except TransportError as error:
            if error.fault != "refused":
                _log.debug("reported properties are sent later: %s", error)
                # A connection that comes back brings the whole twin and wakes us.
                return False
            return await self._report_in_parts(patch, error)
        self._retry_s = _RETRY_S
        return True

    async def _report_in_parts(self, patch: Mapping[str, Any], refusal: TransportError) -> bool:
        if len(patch) == 1:
            self._refuse(patch, refusal)
            return True
        for key, value in patch.items():
            try:
                await self._send_patch({key: value})
            except TransportError as error:
                if error.fault != "refused":
                    return False
                self._refuse({key: value}, error)
        return True

    async def _send_patch(self, patch: Mapping[str, Any]) -> None:
        known = self._known
        await self._send(patch)
        self.patches += 1
        # Meanwhile a connection may have brought the hub's own copy.
        if known is not None and self._known is known:
            self._known = merge(known, patch)

    def _refuse(self, patch: Mapping[str, Any], error: TransportError) -> None:
        self._refused.update(patch)
        _log.warning("the hub refuses to be told %s: %s", ", ".join(patch), error)

    def _patch(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        # Top-level keys that we never had are someone else's.
        own = {key: value for key, value in (self._known or {}).items() if key in _OWN}
        patch = difference(own, wanted)
        for key in [key for key, value in patch.items() if self._refused.get(key, _NONE) == value]:
            del patch[key]
        return patch


_NONE = object()
_OWN = frozenset(
    {
        "cameras",
        "desired",
        "device",
        "image",
        "inputs",
        "log_level",
        "methods",
        "module",
        "publish",
        "truncated",
    }
)
"""Top-level keys that this module reports: what else the hub has there is left alone."""


def _fitted(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        if depth > _MAX_DEPTH:
            return _text(json.dumps(value, default=str))
        return {encode_key(str(key)): _fitted(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        if depth > _MAX_DEPTH:
            return _text(json.dumps(value, default=str))
        return [_fitted(inner, depth + 1) for inner in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= _MAX_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return _text(str(value))


def _text(text: str) -> str:
    text = redact(text).encode("utf-8", "replace").decode()
    return text if len(text.encode()) <= _MAX_TEXT_BYTES else _cut(text, _MAX_TEXT_BYTES)


def _cut(text: str, max_bytes: int) -> str:
    return text.encode()[: max_bytes - 3].decode("utf-8", "ignore") + "…"


def _size(document: Mapping[str, Any]) -> int:
    return len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
