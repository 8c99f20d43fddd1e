"""Errors of azure-iot-device, in the words of `edgevision.harness.transport`; nowhere else."""

from __future__ import annotations

import asyncio
import re

from azure.iot.device import exceptions as sdk

from edgevision.harness.transport import TransportError, TransportFault
from edgevision.redaction import redact

__all__ = ["mapped"]

# In the order in which they are tried. The SDK says "not connected" of messages which paho keeps
# and may still deliver, so what it says of a message that failed is "uncertain" at best.
_FAULTS: tuple[tuple[type[BaseException], TransportFault], ...] = (
    (sdk.CredentialError, "unauthorized"),
    (sdk.ConnectionFailedError, "offline"),
    (sdk.ConnectionDroppedError, "uncertain"),
    (sdk.NoConnectionError, "uncertain"),
    (sdk.OperationCancelled, "uncertain"),
    (sdk.OperationTimeout, "uncertain"),
    (asyncio.TimeoutError, "uncertain"),
    (ConnectionAbortedError, "uncertain"),  # our own: the client was closed
    (ValueError, "refused"),
    (TypeError, "refused"),
)
_BUSY = re.compile(r"\b(429|5\d\d)\b")


def mapped(error: BaseException, doing: str) -> TransportError:
    """Return the error to raise ``from error``.

    Args:
        error: what a call of the SDK raised.
        doing: what was being done, for the message: "cannot connect to gateway".
    """
    if isinstance(error, TransportError):
        return error
    fault: TransportFault = "broken"
    for kind, candidate in _FAULTS:
        if isinstance(error, kind):
            fault = candidate
            break
    else:
        refusal = _service_error(error)
        if refusal is not None:
            fault = "uncertain" if _BUSY.search(str(refusal)) else "refused"
    return TransportError(f"{doing}: {_reason(error)}", fault)


def _service_error(error: BaseException) -> BaseException | None:
    """Return the hub's own refusal, which the SDK hides below an "unexpected failure"."""
    cause = error.__cause__
    return cause if type(cause).__name__ == "ServiceError" else None


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "no answer in time"
    texts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(texts) < 3:
        text = str(current) or type(current).__name__
        if text not in texts:
            texts.append(text)
        current = current.__cause__
    return redact(": ".join(texts))
