"""The look below the SDK: what it finds, and what it does where there is nothing to find."""

from __future__ import annotations

import ssl
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from paho.mqtt import client as paho

from edgevision.harness import network_thread
from edgevision.harness.network_thread import NetworkThread


class FakeSocket:
    """A socket that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def send(self, data: bytes) -> int:
        raise self._error

    def recv(self, size: int) -> bytes:
        raise self._error

    def close(self) -> None:
        return


def sdk_with(client: paho.Client) -> object:
    """Return something built like an SDK client, two stages deep."""
    last = SimpleNamespace(next=None, transport=SimpleNamespace(_mqtt_client=client))
    return SimpleNamespace(_mqtt_pipeline=SimpleNamespace(_pipeline=SimpleNamespace(next=last)))


@pytest.mark.parametrize(
    "sdk",
    [object(), SimpleNamespace(_mqtt_pipeline=None), sdk_with(object())],
)
def test_an_sdk_that_is_built_in_another_way_is_left_alone(sdk: Any) -> None:
    network = NetworkThread(sdk, patch=True)
    network.watch(lambda reason: pytest.fail(reason))
    assert network.alive
    network.abort()
    network.bury()
    network.free()


@pytest.mark.parametrize(
    "error", [ssl.SSLEOFError(8, "EOF"), TimeoutError(110, "timed out"), OSError(113, "no route")]
)
def test_every_fault_of_the_socket_becomes_one_that_paho_handles(error: OSError) -> None:
    client = paho.Client("c")
    other = paho.Client("d")
    NetworkThread(sdk_with(client), patch=True)
    for each in (client, other):
        each._sock = FakeSocket(error)
    with pytest.raises(ConnectionResetError) as caught:
        client._sock_send(b"x")
    assert caught.value.__cause__ is error
    with pytest.raises(ConnectionResetError):
        client._sock_recv(1)
    # Another user of paho in the same process has what it had.
    with pytest.raises(OSError, match=str(error.args[1])) as untouched:
        other._sock_send(b"x")
    assert untouched.value is error
    client._sock = other._sock = None


@pytest.mark.parametrize("error", [ssl.SSLWantReadError(), BlockingIOError()])
def test_what_means_later_still_does(error: OSError) -> None:
    client = paho.Client("c")
    NetworkThread(sdk_with(client), patch=True)
    client._sock = FakeSocket(error)
    with pytest.raises(BlockingIOError):
        client._sock_recv(1)
    client._sock = None


def test_without_the_patch_nothing_is_changed() -> None:
    client = paho.Client("c")
    NetworkThread(sdk_with(client), patch=False)
    assert "_sock_send" not in vars(client)


def test_the_death_of_the_watched_thread_is_told_and_of_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed_on: list[str] = []
    network_thread._hook()
    monkeypatch.setattr(
        network_thread, "_hook_before", lambda args: passed_on.append(str(args.exc_value))
    )
    monkeypatch.setattr(threading, "excepthook", network_thread._on_thread_error)
    told: list[str] = []
    begin = threading.Event()

    def die(text: str) -> None:
        begin.wait()
        raise ValueError(text)

    watched, other = (threading.Thread(target=die, args=(name,)) for name in ("a", "b"))
    client = paho.Client("c")
    client._thread = watched
    network = NetworkThread(sdk_with(client), patch=False)
    network.watch(told.append)
    for thread in (watched, other):
        thread.start()
    assert network.alive
    begin.set()
    for thread in (watched, other):
        thread.join()
    assert told == ["ValueError: a"]
    assert passed_on == ["b"]
    assert not network.alive
    client._thread = None
