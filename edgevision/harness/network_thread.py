"""The network thread that paho runs below azure-iot-device: watched, mended, freed in the end.

paho 1.6's loop handles `ConnectionError` alone. Any other error of the socket, such as the
`ssl.SSLEOFError` of a hub that is killed while something is being written, ends the thread: the
client still says that it is connected, and waits for ever for acknowledgements. paho 2 handles
every `OSError` (its issue 750), but azure-iot-device 2.14 demands paho below 2.

This module is the only one that looks below the SDK's public face. Where a later SDK looks
different there, nothing is watched or mended; the time limit for acknowledgements still is.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import weakref
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as paho

__all__ = ["NOT_JSON", "NetworkThread"]

NOT_JSON = "$edgevision.not-json"
"""Key of what stands in for the payload of a method call that is no JSON; its value says why."""

_METHODS = "$iothub/methods/POST/"

_END_S = 0.2
_watched: weakref.WeakKeyDictionary[threading.Thread, Callable[[str], None]] = (
    weakref.WeakKeyDictionary()
)
_hook_lock = threading.Lock()
_hook_before: Callable[[Any], object] | None = None


class NetworkThread:
    """The network thread of one connected SDK client.

    Args:
        client: an ``IoTHubModuleClient``.
        patch: whether to mend paho 1.6 in the way described above, for this client alone.
    """

    def __init__(self, client: Any, *, patch: bool) -> None:
        self._paho = _paho_client(client)
        self._thread: threading.Thread | None = None
        if self._paho is not None and patch:
            for name in ("_sock_send", "_sock_recv"):
                setattr(self._paho, name, _as_connection_error(getattr(self._paho, name)))
        if self._paho is not None and self._paho.on_message is not None:
            self._paho.on_message = _with_readable_calls(self._paho.on_message)

    def watch(self, on_death: Callable[[str], None]) -> None:
        """Call ``on_death`` with the reason, on the dying thread, when an error ends it.

        Small packets are sent at once from here on.

        To be called once the client is connected, since each connection has a thread of its own.
        """
        connection = self._paho.socket() if self._paho is not None else None
        if connection is not None:
            # Else a small packet waits for the acknowledgement of the one before, which the hub's
            # kernel delays: 40 ms for a first message, a twin request or a method's answer.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread = getattr(self._paho, "_thread", None)
        if self._thread is not None:
            _hook()
            _watched[self._thread] = on_death

    @property
    def alive(self) -> bool:
        """False once the watched thread has ended; True as long as nothing is known."""
        return self._thread is None or self._thread.is_alive()

    def abort(self) -> None:
        """Cut the connection without a farewell, from any thread; never blocks.

        The SDK's farewell waits for the network thread, on the one thread that all clients of the
        process share; with a hub that does not read any more that takes until the keep-alive
        runs out.
        """
        connection = self._paho.socket() if self._paho is not None else None
        if connection is not None:
            with contextlib.suppress(OSError):  # it is closed already
                # Not SSLSocket's own: that takes the session away from below the other thread.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def bury(self) -> None:
        """After `abort`: do the dead thread's last duty, which is to tell the SDK of the end.

        Without it the SDK waits for the end of the connection for ever. To be called off the
        event loop.
        """
        if self._paho is not None and not self.alive:
            with contextlib.suppress(Exception):  # what killed the thread may strike here as well
                self._paho.loop_read()

    def free(self) -> None:
        """Close what paho leaves to the garbage collector; the client is not used any more."""
        if self._thread is not None:
            _watched.pop(self._thread, None)
            # The thread may be about to end.
            self._thread.join(_END_S)
        running = getattr(self._paho, "_thread", None)  # of a connection that was refused
        if running is not None:
            running.join(_END_S)
        if self._paho is not None and not any(
            thread is not None and thread.is_alive() for thread in (self._thread, running)
        ):
            for name in ("_sockpairR", "_sockpairW"):
                pipe = getattr(self._paho, name, None)
                if pipe is not None:
                    setattr(self._paho, name, None)
                    pipe.close()


def _paho_client(client: Any) -> paho.Client | None:
    """Return the paho client below an SDK client; None if the SDK is built in another way."""
    try:
        stage = client._mqtt_pipeline._pipeline
        while stage.next is not None:
            stage = stage.next
        found = stage.transport._mqtt_client
    except AttributeError:
        return None
    return found if isinstance(found, paho.Client) else None


def _with_readable_calls(on_message: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap paho's callback so that the SDK does not swallow a method call that is no JSON.

    The SDK decodes the payload in a place where an error is logged and no more, and the caller
    waits in vain. What stands in for such a payload is answered in `edgevision.harness.delivery`.
    """

    def wrapped(client: Any, data: Any, message: Any) -> Any:
        if message.topic.startswith(_METHODS) and message.payload:
            try:
                json.loads(message.payload)
            except (ValueError, RecursionError) as error:
                message.payload = json.dumps({NOT_JSON: str(error)}).encode()
        return on_message(client, data, message)

    return wrapped


def _as_connection_error(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Wrap a method of paho so that every fault of the socket is one which paho handles."""

    def wrapped(argument: Any) -> Any:
        try:
            return method(argument)
        except (BlockingIOError, ConnectionError):
            raise
        except OSError as error:
            raise ConnectionResetError(*error.args) from error

    return wrapped


def _hook() -> None:
    """Put `_on_thread_error` before what handles threads' errors now, once for the process.

    Whoever replaces it later may well call it; to be put in front again would make a circle.
    """
    global _hook_before
    with _hook_lock:
        if _hook_before is None:
            _hook_before = threading.excepthook
            threading.excepthook = _on_thread_error


def _on_thread_error(args: Any) -> None:
    on_death = _watched.pop(args.thread, None) if args.thread is not None else None
    if on_death is not None:
        on_death(f"{args.exc_type.__name__}: {args.exc_value}")
    elif _hook_before is not None:
        _hook_before(args)
