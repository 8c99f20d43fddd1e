"""`edgevision run` and `demo`, as processes: what they print, how they end."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from edgevision.cli.run import RunRequest
from edgevision.errors import ConfigurationError
from edgevision.upstream.message import json_schema
from tests.unit.cli.command import Running, command, environment, on_terminal, run

CLIP = "synthetic:?frames={}&pace=fast&width=160&height=96"
LIVE = "synthetic:?width=160&height=96&fps=30"

COUNTER = """
from edgevision import Frame, Param, Stage

class Counter(Stage):
    step: int = Param(1)

    def start(self):
        self.count = 0

    def process(self, frame: Frame) -> None:
        self.count += self.step
        frame.values["count"] = self.count
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stages.py").write_text(COUNTER)
    (tmp_path / "pipeline.yaml").write_text(
        f"cameras:\n  door: {{source: '{CLIP.format(6)}'}}\n"
        "stages: [./stages.py:Counter]\npublish: {when: every}\nweb: false\n"
    )
    return tmp_path


def summary(logs: list[dict[str, Any]], camera: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        log["camera"] for log in logs if log.get("camera", {}).get("name") == camera
    )
    return found


def frames(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == "frame"]


def test_messages_are_json_lines_and_valid(folder: Path) -> None:
    done = run("run", "pipeline.yaml", folder=folder)
    assert done.code == 0
    validator = Draft202012Validator(json_schema())
    for line in done.lines:
        validator.validate(line)
    assert [line["values"]["count"] for line in frames(done.lines)] == [1, 2, 3, 4, 5, 6]
    assert {line["camera"] for line in done.lines} == {"door"}
    assert {line["module"] for line in done.lines} == {folder.name}


def test_the_accounting_at_the_end_is_exact(folder: Path) -> None:
    found = summary(run("run", "pipeline.yaml", folder=folder).logs, "door")
    assert (found["captured"], found["processed"], found["in_flight"]) == (6, 6, 0)
    assert found["dropped"] == {}
    assert found["stages"][0]["name"] == "counter"


def test_pipeline_yaml_of_the_folder_is_the_default(folder: Path) -> None:
    assert len(frames(run("run", folder=folder).lines)) == 6


def test_a_parameter_and_a_source_of_the_command_line(folder: Path) -> None:
    arguments = ["--set", "counter.step=5", "--source", CLIP.format(2)]
    done = run("run", "pipeline.yaml", *arguments, folder=folder)
    assert [line["values"]["count"] for line in frames(done.lines)] == [5, 10]
    done = run("run", "pipeline.yaml", "--source", f"door={CLIP.format(1)}", folder=folder)
    assert len(frames(done.lines)) == 1
    done = run("run", "pipeline.yaml", "--source", f"dor={CLIP.format(1)}", folder=folder)
    assert "there is no camera 'dor', did you mean 'door'?" in done.error


def test_sources_and_stages_without_a_file(folder: Path) -> None:
    sources = ["--source", CLIP.format(3), "--source", f"b={CLIP.format(2)}"]
    stages = ["--stage", "./stages.py", "--stage", "edges"]
    done = run("run", *sources, *stages, "--no-web", folder=folder)
    assert done.code == 0
    assert {line["camera"] for line in done.lines} == {"cam", "b"}
    assert [s["name"] for s in summary(done.logs, "b")["stages"]] == ["counter", "edges"]
    assert run("run", "pipeline.yaml", *stages, folder=folder).code == 2


def test_messages_may_go_elsewhere(folder: Path) -> None:
    done = run("run", "--upstream", "jsonl:out/m.jsonl", folder=folder)
    assert done.out == ""
    lines = (folder / "out" / "m.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines][:6] == [1, 2, 3, 4, 5, 6]


def test_quiet_says_nothing(folder: Path) -> None:
    done = run("run", "--quiet", folder=folder)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_on_a_terminal_there_is_text(folder: Path) -> None:
    done = on_terminal("run", folder=folder)
    assert done.code == 0
    assert re.search(r"^\d\d:\d\d:\d\d +door .*count", done.out, re.MULTILINE)
    assert "camera door: 6 frames captured, 6 processed, 0 dropped" in done.out
    assert "{" not in done.out


def test_json_on_a_terminal(folder: Path) -> None:
    done = on_terminal("run", "--json", folder=folder)
    kinds = [json.loads(line) for line in done.out.splitlines()]
    assert sum("schema" in line for line in kinds) >= 6


def test_text_in_a_pipe(folder: Path) -> None:
    done = run("run", "--text", folder=folder)
    assert "door" in done.out
    assert "{" not in done.out + done.err


def test_a_camera_that_fails_is_exit_code_1(folder: Path) -> None:
    done = run("run", "--source", "none.mp4", "--no-web", folder=folder)
    assert done.code == 1
    assert any("none.mp4: there is no such file" in log["message"] for log in done.logs)
    assert "Traceback" not in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well(folder: Path, number: signal.Signals) -> None:
    with Running("run", "--source", LIVE, "--no-web", folder=folder) as running:
        running.log("is live")
        running.signal(number)
        done = running.end()
    assert done.code == 0
    found = summary(done.logs, "cam")
    assert found["captured"] == found["processed"] + sum(found["dropped"].values())
    assert "Traceback" not in done.err


def test_a_second_ctrl_c_ends_it_at_once(folder: Path) -> None:
    (folder / "stages.py").write_text(
        "import threading\nfrom edgevision import Stage\n\n"
        "class Stuck(Stage):\n    def process(self, frame):\n        print('stuck', flush=True)\n"
        "        threading.Event().wait()\n"
    )
    arguments = ["--source", LIVE, "--stage", "./stages.py", "--no-web", "--upstream", "jsonl:m"]
    with Running("run", *arguments, folder=folder) as running:
        running.wait_for(lambda r: r.out)
        running.signal(signal.SIGINT)
        running.log("stopping on SIGINT")
        running.signal(signal.SIGINT)
        assert running.end().code == 130


def test_it_ends_after_a_while(folder: Path) -> None:
    done = run("run", "--source", LIVE, "--duration-s", "0.5", "--no-web", folder=folder)
    assert done.code == 0
    assert summary(done.logs, "cam")["state"] == "stopped"


def test_it_ends_when_the_reader_of_the_messages_leaves(folder: Path) -> None:
    text = (folder / "pipeline.yaml").read_text().replace(CLIP.format(6), LIVE)
    (folder / "pipeline.yaml").write_text(text)
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -n 2; exit ${PIPESTATUS[0]}', "bash", *command("run")],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    assert "Traceback" not in done.stderr


def test_a_stage_that_raises_is_shown_with_its_line(folder: Path) -> None:
    (folder / "stages.py").write_text(COUNTER + "        raise KeyError('model')\n")
    done = run("run", folder=folder)
    log = next(log for log in done.logs if "KeyError" in log["message"])
    assert "camera 'door', stage 'counter'" in log["message"]
    assert "raise KeyError('model')" in log["traceback"]


def test_the_preview_page_is_there(folder: Path) -> None:
    with Running("run", "--source", LIVE, "--port", "0", folder=folder) as running:
        url = running.log("open http://127.0.0.1:")["url"]
        page = urllib.request.urlopen(url, timeout=20).read().decode()
        assert "<html" in page.lower()
        status = json.load(urllib.request.urlopen(f"{url}status", timeout=20))
        assert status["cameras"][0]["name"] == "cam"
        running.signal(signal.SIGINT)
        assert running.end().code == 0


def test_a_port_in_use(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("run", "--source", LIVE, "--port", str(port), folder=folder)
    assert done.code == 2
    assert str(port) in done.error
    assert "Traceback" not in done.err


def test_the_page_is_opened_in_a_browser(folder: Path) -> None:
    browser = folder / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > seen.part\nmv seen.part seen\n')
    browser.chmod(0o755)
    arguments = ["--source", LIVE, "--port", "0", "--open"]
    with Running("run", *arguments, folder=folder, BROWSER=f"{browser} %s") as running:
        url = running.log("open http")["url"]
        running.wait_for(lambda r: r.messages())
        running.signal(signal.SIGINT)
        running.end()
    assert (folder / "seen").read_text().strip() == url


def box_pixels(picture: Any) -> int:
    """Count pixels of a colour that the scene does not have and the boxes do."""
    blue, green, red = (picture[..., i].astype(int) for i in range(3))
    return int(((blue > 220) & (red > 160) & (green < 170) & (blue - green > 60)).sum())


def test_the_demo_shows_boxes_and_messages() -> None:
    with Running("demo", "--port", "0") as running:
        url = running.log("open http://127.0.0.1:")["url"]
        assert "open http" in running.err[0]

        def annotated(_: Running) -> bool:
            answer = urllib.request.urlopen(f"{url}cameras/walkway/snapshot.jpg", timeout=20)
            picture = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)
            return picture is not None and box_pixels(picture) > 500

        running.log("is live")
        running.wait_for(lambda r: any(m.get("detections") for m in r.messages()))
        for _ in range(50):
            if annotated(running):
                break
        else:
            pytest.fail("no box in 50 pictures")
        running.signal(signal.SIGINT)
        assert running.end().code == 0


def test_the_demo_takes_another_port() -> None:
    # Whoever has 8080 here, the demo finds the next one.
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        except OSError:
            pass
        done = run("demo", "--duration-s", "0.1")
    assert done.code == 0
    tries = [log for log in done.logs if "is taken, trying port" in log["message"]]
    assert tries[0]["message"] == "port 8080 is taken, trying port 8081"
    opened = next(log for log in done.logs if "url" in log)
    assert f":{tries[-1]['port']}/" in opened["url"]


def test_the_demo_with_several_cameras() -> None:
    done = run("demo", "--cameras", "3", "--no-web", "--duration-s", "5")
    assert done.code == 0
    for camera in ("walkway", "station", "market"):
        assert summary(done.logs, camera)["captured"] >= 1


def test_the_device_of_the_command_line_is_every_cameras(tmp_path: Path) -> None:
    text = (
        'device: cuda\ncameras:\n  a: {source: "synthetic:", device: "cuda:3"}\n  b: "synthetic:"\n'
    )
    (tmp_path / "pipeline.yaml").write_text(text)

    def devices(device: str | None) -> list[str]:
        request = RunRequest(tmp_path / "pipeline.yaml", [], [], [], device=device)
        specs = request.read().camera_specs()
        assert [spec.source().uri[:10] for spec in specs] == ["synthetic:"] * 2
        return [spec.device for spec in specs]

    assert devices(None) == ["cuda:3", "cuda"]
    assert devices("cpu") == ["cpu", "cpu"]
    with pytest.raises(
        ConfigurationError, match="a device is auto, cpu, cuda or cuda:N, got 'gpu'"
    ):
        devices("gpu")
