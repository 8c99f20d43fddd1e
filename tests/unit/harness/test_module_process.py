"""The module as a process of its own, over real TLS, with the real SDK."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from edgevision.testing.hub import HubStandIn
from edgevision.upstream.message import json_schema
from tests.unit.harness.pipelines import STAGES

PIPELINE = """
module: gate
cameras: {door: "synthetic:?width=320&height=240&people=1&seed=4"}
stages: [motion, "./stages.py:Add"]
publish: {when: every, min_interval_s: 0}
web: {port: 0}
upstream: [iotedge: {report_interval_s: 0.1}]
"""
HANGING = """
import time
from edgevision import Frame, Stage

class Hang(Stage):
    def process(self, frame: Frame) -> None:
        frame.publish("here", {"n": frame.sequence})
        if frame.sequence == 3:
            time.sleep(60)
"""
LIMIT_S = 8.0


class Module:
    """A process that runs ``edgevision run`` with the environment of a hub."""

    def __init__(self, folder: Path, environment: dict[str, str], *arguments: str) -> None:
        self.lines: list[str] = []
        command = [sys.executable, "-m", "edgevision", "run", *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit status and how long it took."""
        began_s = time.monotonic()
        self.process.send_signal(number)
        return self.wait(), time.monotonic() - began_s

    def wait(self) -> int:
        code = self.process.wait(LIMIT_S + 2)
        self._reader.join()
        return code

    def close(self) -> None:
        """Kill it, if it is still there."""
        self.process.kill()
        self.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def write(folder: Path, pipeline: str = PIPELINE, stages: str = STAGES) -> None:
    (folder / "stages.py").write_text(stages)
    (folder / "pipeline.yaml").write_text(pipeline)


def environment(**given: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("IOTEDGE_", "EdgeHub"))}
    return {**kept, "RuntimeLogLevel": "debug", **given}


@contextmanager
def running(folder: Path, hub: HubStandIn, *arguments: str) -> Iterator[Module]:
    given = hub.environment(module="gate")
    module = Module(folder, environment(**given), "pipeline.yaml", *arguments)
    try:
        yield module
    finally:
        module.close()


def test_a_module_from_its_start_to_its_end(tmp_path: Path) -> None:
    write(tmp_path)
    with HubStandIn() as hub, running(tmp_path, hub) as module:
        gate = hub.module("gate")
        check = jsonschema.Draft202012Validator(json_schema()).validate
        for message in hub.wait_for_messages(5, timeout_s=30):
            check(message.json())
            assert (message.module, message.output) == ("gate", "results")
            assert message.json()["camera"] == "door"
        hub.wait_for(lambda _: "cameras" in gate.reported)
        # The twin in force: what comes from then on is by the new value.
        version = gate.patch_desired({"stages": {"add": {"amount": 42}}})
        hub.wait_for(lambda _: gate.reported["desired"]["version"] == version)
        count = hub.message_count
        hub.wait_for_messages(count + 15)
        assert hub.messages[-1].json()["values"]["add"][0] == 42
        version = gate.patch_desired({"stages": {"add": {"amount": 1000}}})
        hub.wait_for(lambda _: gate.reported["desired"]["version"] == version)
        refused = gate.reported["desired"]
        assert (refused["status"], refused["path"]) == ("refused", "stages.add.amount")
        assert refused["applied_version"] == version - 1
        assert gate.reported["cameras"]["door"]["stages"]["add"]["amount"] == 42
        # A change while the connection is away is found when it is back.
        hub.end_connections()
        version = gate.patch_desired({"stages": {"add": {"amount": 7}}})
        hub.wait_for(lambda _: gate.reported["desired"]["version"] == version)
        assert gate.reported["cameras"]["door"]["stages"]["add"]["amount"] == 7
        status, answer = call(gate, "snapshot")
        assert status == 200
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(answer["jpeg"]), np.uint8), 1)
        assert picture is not None
        assert picture.shape == (240, 320, 3)
        status, answer = call(gate, "reset", {"camera": "door"})
        assert answer["cameras"]["door"]["add"]["thread"] == "worker door"
        gate.send_input("amounts", {"amount": 11})
        hub.wait_for(
            lambda _: gate.reported["cameras"]["door"]["stages"]["add"]["amount"] == 11, 20.0
        )
        assert call(gate, "ping")[0] == 200
        assert call(gate, "nothing")[0] == 404
        for body in (b"{nope", b"\xff\xfe", b"[" * 60_000):
            answer = gate.call_raw("ping", body)
            assert answer.status == 400
            assert answer.payload["error"].startswith("the payload is no JSON")
        assert gate.call_raw("set", b'{"a": "' + b"x" * 131_000 + b'"}').status == 400
        code, took_s = module.end()
        assert code == 0, "\n".join(module.lines)
        assert took_s < LIMIT_S
        ids = [m.id for m in hub.messages]
        numbers = [m.json()["number"] for m in hub.messages]
        assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
        assert len(set(ids)) == len(set(numbers))
    assert all(line.startswith("<") for line in module.lines), module.lines


def call(gate: Any, name: str, payload: Any = None) -> tuple[int, Any]:
    answer = gate.call(name, payload)
    json.dumps(answer.payload)
    return answer.status, answer.payload


def test_a_stage_that_hangs_does_not_keep_it_and_a_second_signal_ends_it_at_once(
    tmp_path: Path,
) -> None:
    pipeline = PIPELINE.replace('motion, "./stages.py:Add"', '"./stages.py:Hang"')
    write(tmp_path, pipeline, HANGING)
    with HubStandIn() as hub:
        with running(tmp_path, hub) as module:
            # Those of two frames; the third does not come back.
            hub.wait_for_messages(4, timeout_s=30)
            code, took_s = module.end()
            assert (code, took_s < LIMIT_S) == (0, True), "\n".join(module.lines)
        with running(tmp_path, hub) as module:
            hub.wait_for(lambda _: hub.module("gate").connected, 30.0)
            hub.wait_for(lambda _: any("n" in str(m.json()) for m in hub.messages))
            module.process.send_signal(signal.SIGTERM)
            deadline_s = time.monotonic() + 5
            while not any("stopping on SIGTERM" in line for line in module.lines):
                assert time.monotonic() < deadline_s
                module.process.poll()
            code, took_s = module.end()
            assert code in (128 + signal.SIGTERM, 0)


def test_a_module_starts_without_a_hub_and_sends_later(tmp_path: Path) -> None:
    write(tmp_path)
    with HubStandIn() as hub:
        hub.go_down()
        with running(tmp_path, hub) as module:
            outbox = tmp_path / "outbox.sqlite"
            deadline_s = time.monotonic() + 30
            while not any("is live" in line for line in module.lines) or not outbox.exists():
                assert time.monotonic() < deadline_s, module.lines
                assert module.process.poll() is None, module.lines
            hub.come_up()
            numbers = [m.json()["number"] for m in hub.wait_for_messages(3, timeout_s=30)]
            assert numbers[:3] == [1, 2, 3]
            assert module.end()[0] == 0


@pytest.mark.parametrize(
    ("left", "wanted"),
    [
        ((), "none of IOTEDGE_IOTHUBHOSTNAME"),
        (("IOTEDGE_DEVICEID", "IOTEDGE_MODULEID"), "incomplete: IOTEDGE_IOTHUBHOSTNAME"),
    ],
)
def test_a_missing_environment_is_named(tmp_path: Path, left: tuple[str, ...], wanted: str) -> None:
    write(tmp_path)
    module = Module(tmp_path, environment(**dict.fromkeys(left, "x")), "pipeline.yaml")
    try:
        assert module.wait() == 2
    finally:
        module.close()
    text = "\n".join(module.lines)
    assert wanted in text
    assert "Traceback" not in text


def test_a_wrong_certificate_ends_the_module_with_an_error(tmp_path: Path) -> None:
    write(tmp_path)
    with HubStandIn(certificate_names=["elsewhere"]) as hub, running(tmp_path, hub) as module:
        assert module.wait() == 2
        assert any("certificate" in line for line in module.lines), module.lines


def test_reload_does_not_go_with_a_hub(tmp_path: Path) -> None:
    write(tmp_path)
    module = Module(tmp_path, environment(), "pipeline.yaml", "--reload")
    try:
        assert module.wait() == 2
    finally:
        module.close()
    assert any("--reload does not go" in line for line in module.lines)
