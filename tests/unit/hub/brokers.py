"""The stand-in and Mosquitto behind one face, for the contract that both keep."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Protocol

from edgevision.testing.hub import HubStandIn
from edgevision.testing.hub.authority import Authority
from edgevision.testing.hub.identity import HUB_NAME
from edgevision.testing.hub.listener import bind
from tests.unit.hub.raw_client import CONNACK, PUBACK, Answer, RawClient, connect_packet

__all__ = ["Broker", "MosquittoBroker", "StandInBroker"]

START_LIMIT_S = 15.0


class Broker(Protocol):
    """What the contract needs."""

    def client(self) -> RawClient:
        """Connect without a CONNECT."""

    def hello(self, module: str, *, clean: bool = False, keep_alive_s: int = 60) -> bytes:
        """Return a CONNECT that is good for this broker."""

    def send(self, module: str, name: str, payload: bytes) -> None:
        """Bring a message to the topic ``devices/edge-device/modules/MODULE/inputs/NAME/``."""

    def connect(
        self, module: str, *, clean: bool = False, keep_alive_s: int = 60
    ) -> tuple[RawClient, Answer]:
        """Connect and return the client with the broker's CONNACK."""


class _Connecting:
    def connect(
        self: Broker, module: str, *, clean: bool = False, keep_alive_s: int = 60
    ) -> tuple[RawClient, Answer]:
        client = self.client()
        client.send(self.hello(module, clean=clean, keep_alive_s=keep_alive_s))
        return client, client.expect(CONNACK)


class StandInBroker(_Connecting):
    """Ours.

    Args:
        hub: the stand-in.
    """

    def __init__(self, hub: HubStandIn) -> None:
        self.hub = hub

    def client(self) -> RawClient:
        return RawClient(self.hub.host, self.hub.port, self.hub.authority.pem)

    def hello(self, module: str, *, clean: bool = False, keep_alive_s: int = 60) -> bytes:
        identity = self.hub.identities.register(self.hub.device, module)
        return connect_packet(
            identity.client_id,
            username=f"{HUB_NAME}/{identity.client_id}/?api-version=2019-10-01",
            password=identity.token(self.hub.now_s() + 3600),
            clean=clean,
            keep_alive_s=keep_alive_s,
        )

    def send(self, module: str, name: str, payload: bytes) -> None:
        self.hub.module(module).send_input(name, payload)


class MosquittoBroker(_Connecting):
    """Debian's Mosquitto with TLS, for a ``with`` block."""

    def __init__(self) -> None:
        self._authority = Authority()
        with bind(None, 8883) as free:
            self.host, self.port = free.getsockname()
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        (folder / "ca.pem").write_text(self._authority.pem)
        pem = self._authority.key_and_chain((self.host, "localhost"))
        (folder / "server.pem").write_bytes(pem)
        (folder / "broker.conf").write_text(
            f"listener {self.port} {self.host}\n"
            f"cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.pem\n"
            "tls_version tlsv1.2\nallow_anonymous true\npersistence false\n"
            "max_packet_size 262144\nuser root\n"
            "log_type error\nlog_type information\nlog_dest stderr\n"
        )
        binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        assert binary is not None
        self._process = subprocess.Popen(
            [binary, "-c", str(folder / "broker.conf")], stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> MosquittoBroker:
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            if "running" in line:
                return self
        self.__exit__()
        raise AssertionError("mosquitto did not start: " + "".join(said))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=START_LIMIT_S)
        self._folder.cleanup()

    def client(self) -> RawClient:
        return RawClient(self.host, self.port, self._authority.pem)

    def hello(self, module: str, *, clean: bool = False, keep_alive_s: int = 60) -> bytes:
        return connect_packet(f"edge-device/{module}", clean=clean, keep_alive_s=keep_alive_s)

    def send(self, module: str, name: str, payload: bytes) -> None:
        with self.client() as client:
            client.send(connect_packet("router", clean=True))
            client.expect(CONNACK)
            client.publish(f"devices/edge-device/modules/{module}/inputs/{name}/", payload)
            client.expect(PUBACK)
