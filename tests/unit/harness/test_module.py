"""A module and its hub: reported properties, methods and inputs together."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import MethodError, module_input, module_method
from edgevision.harness import inputs, methods
from edgevision.harness.transport import InputMessage
from tests.unit.harness.modules import Bed, play
from tests.unit.harness.pipelines import stages, until

SECRET = """
module: test
cameras:
  door: {source: "synthetic:?width=96&height=64&fps=100&people=0"}
  dead: {source: "rtsp://user:hunter22@127.0.0.1:9/stream"}
stages: [{"./stages.py:Add": {key: swordfish}}]
web: false
"""
ONE = """
cameras: {door: "synthetic:?width=96&height=64&fps=100&people=1"}
stages: ["./stages.py:Add"]
web: false
"""


@pytest.fixture(autouse=True)
def no_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "_registered", {})
    monkeypatch.setattr(inputs, "_registered", {})


def test_what_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVISION_IMAGE_REVISION", "abc")

    async def scenario(bed: Bed) -> None:
        await bed.until(lambda: bed.reported["cameras"]["door"]["state"] == "live", "the state")
        reported = bed.reported
        door = reported["cameras"]["door"]
        assert door["stages"]["add"]["amount"] == 2
        assert (door["size_wh"], door["stage_order"]) == ([96, 64], ["add", "count"])
        assert reported["cameras"]["yard"]["stage_order"] == ["count", "add"]
        assert reported["desired"] == {"version": 1, "status": "applied", "applied_version": 1}
        assert reported["module"] == {"name": "test", "cameras": 2}
        assert reported["image"] == {"revision": "abc"}
        assert {"edgevision", "opencv", "python", "arch", "cuda"} <= reported["device"].keys()
        assert {"ping", "reset", "slow"} <= set(reported["methods"])
        assert reported["inputs"] == ["amounts"]
        assert (await bed.desire(cameras={"yard": False}))["status"] == "applied"
        await bed.until(lambda: list(bed.reported["cameras"]) == ["door"], "it is gone")
        refused = await bed.desire(stages={"add": {"amount": 101}}, camras={})
        assert refused["status"] == "refused"
        assert refused["path"] == "camras"
        assert "did you mean 'cameras'" in refused["reason"]
        again = await bed.desire(camras=None, stages=None)
        assert "reason" not in again
        assert "path" not in again

    play(scenario, tmp_path)


def test_no_secret_is_reported(tmp_path: Path) -> None:
    async def scenario(bed: Bed) -> None:
        await bed.call("status")
        text = json.dumps(bed.reported) + json.dumps(await bed.call("status"))
        assert "hunter22" not in text
        assert "swordfish" not in text
        assert "rtsp://***@127.0.0.1:9/stream" in text
        assert bed.reported["cameras"]["door"]["stages"]["add"]["key"] == "***"

    play(scenario, tmp_path, text=SECRET, live=False)


def test_what_came_while_the_hub_was_away_is_in_force_when_it_is_back(tmp_path: Path) -> None:
    async def scenario(bed: Bed) -> None:
        bed.hub.cut()
        bed.hub.desire({"stages": {"add": {"amount": 77}}})
        bed.hub.restore()
        await until(lambda: stages(bed.runner, "door")["add"]["amount"] == 77, "the value")
        await bed.until(lambda: bed.reported["desired"]["version"] == 2, "the report")

    play(scenario, tmp_path)


def test_the_built_in_methods(tmp_path: Path) -> None:
    async def scenario(bed: Bed) -> None:
        runner = bed.runner
        status, answer = await bed.call("ping")
        assert (status, answer["module"]) == (200, "test")
        status, answer = await bed.call("status", {"camera": "door"})
        assert [c["name"] for c in answer["cameras"]] == ["door"]
        assert answer["hub"]["connection"]["state"] == "connected"
        assert answer["hub"]["outbox"]["stored"] >= 0
        (upstream,) = bed.runner.status().upstreams
        assert upstream.numbers["connected"] == 1
        assert {"outbox_waiting", "outbox_dropped_too_old"} <= upstream.numbers.keys()
        assert upstream.detail == ""
        bed.hub.cut()
        await until(lambda: bool(bed.runner.status().upstreams[0].detail), "a reason")
        bed.hub.restore()
        await until(
            lambda: bed.runner.status().upstreams[0].numbers["connected"] == 1, "it is back"
        )
        assert await bed.call("pause", {"camera": "door"}) == (200, {"cameras": {"door": "paused"}})
        status, answer = await bed.call("snapshot", {"camera": "door"})
        assert status == 409
        assert "it is paused" in answer["error"]
        assert (await bed.call("resume"))[0] == 200
        assert not runner.cameras["door"].paused
        assert (await bed.call("pause"))[1] == {"cameras": {"door": "paused", "yard": "paused"}}
        assert (await bed.call("resume"))[0] == 200
        assert (await bed.call("set", {"stages": {"add": {"amount": 9}}}))[0] == 200
        assert stages(runner, "door")["add"]["amount"] == 9
        door = runner.cameras["door"]
        status, answer = await bed.call("restart", {"camera": "door"})
        assert status == 200
        assert runner.cameras["door"] is not door
        await until(lambda: runner.cameras["door"].state.name == "live", "it is back")
        assert await bed.call("log_level") == (200, {"level": "info"})
        assert await bed.call("log_level", {"level": "debug"}) == (200, {"level": "debug"})
        assert await bed.call("log_level", {"level": None}) == (200, {"level": "info"})

    play(scenario, tmp_path)


CALLS: list[tuple[str, Any, int, str]] = [
    ("pong", None, 404, "did you mean 'ping'"),
    ("snapshot", None, 400, "which camera? (there are: door, yard)"),
    ("snapshot", {"camera": "dor"}, 404, "did you mean 'door'"),
    ("snapshot", {"camera": 5}, 400, "must be the name of a camera"),
    ("snapshot", {"camra": "door"}, 400, "did you mean 'camera'"),
    ("snapshot", [1], 400, "the payload must be an object, got list"),
    ("set", {}, 400, "nothing to set"),
    ("set", {"stages": {"add": {"amount": -1}}}, 400, "must be int >= 0"),
    ("set", {"stages": {"add": {"amount": 66}}}, 500, "66 is refused by the stage itself"),
    ("log_level", {"level": "loud"}, 400, "must be one of critical"),
    ("record", {"camera": "door", "seconds": 0}, 400, "seconds must be 1 to 300 s"),
    ("record", {"camera": "door", "seconds": True}, 400, "seconds must be"),
    ("reset", {"camera": "gate"}, 404, "there is no camera 'gate'"),
    ("reset", {"stage": "count"}, 404, "no stage 'count' has a method 'reset'"),
    ("slow", {"camera": "door"}, 504, "no answer within 0.2 s"),
    ("fail", {"camera": "door"}, 500, "rtsp://***@10.0.0.1 broke"),
    ("unsaid", {"camera": "door"}, 500, "is no JSON"),
    ("ping", {"x": "y" * 140_000}, 400, "more than 131072 bytes"),
]


def test_a_call_always_has_an_answer(tmp_path: Path) -> None:
    async def scenario(bed: Bed) -> None:
        for name, payload, status, wanted in CALLS:
            answered, body = await bed.call(name, payload)
            assert (answered, wanted in body["error"]) == (status, True), (name, answered, body)
            json.dumps(body)

    play(scenario, tmp_path)


def test_methods_of_stages_run_between_two_frames(tmp_path: Path) -> None:
    async def scenario(bed: Bed) -> None:
        status, answer = await bed.call("reset", {"camera": "door", "why": 1})
        assert status == 200
        (told,) = answer["cameras"]["door"].values()
        assert told["thread"] == "worker door"
        assert told["payload"] == {"why": 1}
        assert told["before"] > 0
        status, answer = await bed.call("reset")
        assert sorted(answer["cameras"]) == ["door", "yard"]
        assert (await bed.call("pause", {"camera": "yard"}))[0] == 200
        assert (await bed.call("reset", {"camera": "yard"}))[0] == 200

    play(scenario, tmp_path)


def test_methods_and_inputs_of_the_module(tmp_path: Path) -> None:
    taken: list[tuple[str, Any]] = []

    @module_method
    def double(payload: Any) -> Any:
        if not isinstance(payload, int):
            raise MethodError(409, "a number, please")
        return {"is": payload * 2, "thread": threading.current_thread().name}

    @module_method("later", timeout_s=5)
    async def answer_later(payload: Any) -> Any:
        await asyncio.sleep(0)
        return payload

    @module_input("weather")
    def rain(message: InputMessage) -> None:
        taken.append((message.input, message.json()))

    async def scenario(bed: Bed) -> None:
        status, answer = await bed.call("double", 21)
        assert (status, answer["is"]) == (200, 42)
        assert answer["thread"].startswith("module handlers")
        assert await bed.call("double", "x") == (409, {"error": "a number, please"})
        assert await bed.call("later", [1]) == (200, [1])
        assert {"double", "later"} <= set(bed.reported["methods"])
        bed.hub.input(InputMessage("weather", b'{"rain": true}'))
        await until(lambda: taken == [("weather", {"rain": True})], "the message")

    play(scenario, tmp_path)


def _amount_is(bed: Bed, camera: str, amount: int) -> bool:
    return bool(stages(bed.runner, camera)["add"]["amount"] == amount)


def test_inputs_reach_every_stage_and_unknown_ones_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(bed: Bed) -> None:
        bed.hub.input(InputMessage("amounts", b'{"amount": 31}'))
        for camera in ("door", "yard"):
            await until(partial(_amount_is, bed, camera, 31), camera)
        for _ in range(3):
            bed.hub.input(InputMessage("amount", b"{}"))
        bed.hub.input(InputMessage("amounts", b"no JSON"))

        dropped = {"unknown": 3, "failed amounts": 1}
        await until(lambda: dict(bed.runner.edge_module.status()["inputs"]["dropped"]) == dropped)

    play(scenario, tmp_path)
    assert caplog.text.count("which nothing handles, did you mean 'amounts'?") == 1


def test_snapshots(tmp_path: Path) -> None:
    async def scenario(bed: Bed) -> None:
        status, answer = await bed.call("snapshot")
        assert status == 200
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(answer["jpeg"]), np.uint8), 1)
        assert picture is not None
        assert (status, picture.shape) == (200, (64, 96, 3))
        status, answer = await bed.call("snapshot", {"inline": False})
        assert status == 200
        assert "jpeg" not in answer
        path = Path(answer["path"])
        assert path.parent == bed.folder / "artifacts"
        assert path.stat().st_size == answer["bytes"]  # noqa: ASYNC240  # a test may block

    play(scenario, tmp_path, text=ONE)


def test_clips(tmp_path: Path) -> None:
    async def scenario(bed: Bed) -> None:
        recorder = bed.runner.edge_module._recorder
        await until(lambda: bool(recorder._past and recorder._past["door"].bytes), "a past")
        status, answer = await bed.call("record", {"seconds": 1, "before_s": 60})
        assert status == 200, answer
        path = Path(answer["path"])
        assert not path.exists()  # noqa: ASYNC240  # a test may block
        status, refused = await bed.call("record", {"seconds": 1})
        assert (status, "being recorded already" in refused["error"]) == (409, True)
        await until(path.exists, "the clip")
        clip = cv2.VideoCapture(str(path))
        assert clip.get(cv2.CAP_PROP_FPS) == 15
        assert 10 <= clip.get(cv2.CAP_PROP_FRAME_COUNT) <= 60
        assert clip.read()[1].shape == (64, 96, 3)
        clip.release()
        assert [p.name for p in path.parent.iterdir()] == [path.name]

    play(scenario, tmp_path, text=ONE, record_before_s=1.0)
