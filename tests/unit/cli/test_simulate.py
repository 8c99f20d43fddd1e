"""``edgevision simulate`` and what a second terminal does with it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgevision.cli.application import run as run_here
from edgevision.cli.simulation import STOP_LIMIT_S
from tests.unit.cli.command import Running, on_terminal, run, until

MODULE = """
import asyncio, json, signal, sys
from azure.iot.device import Message, MethodResponse
from azure.iot.device.aio import IoTHubModuleClient

async def main():
    client = await asyncio.to_thread(IoTHubModuleClient.create_from_edge_environment)
    await client.connect()
    twin = await client.get_twin()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def answer(request):
        status = 200 if request.name == "echo" else 404
        response = MethodResponse.create_from_method_request(request, status, request.payload)
        await client.send_method_response(response)

    async def steered(patch):
        await client.patch_twin_reported_properties({"seen": patch["$version"]})

    async def taken(message):
        back = Message(message.data, content_type=message.content_type, message_id="back")
        back.custom_properties = message.custom_properties
        await client.send_message_to_output(back, "back")

    def set_handlers():
        client.on_method_request_received = answer
        client.on_twin_desired_properties_patch_received = steered
        client.on_message_received = taken

    await asyncio.to_thread(set_handlers)
    await client.send_message_to_output(Message(json.dumps(twin["desired"])), "begun")
    await stop.wait()
    await client.shutdown()
    print("goodbye")
    sys.exit(3)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of the test's own, with a short path: it holds a socket."""
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        yield Path(short)


def program(folder: Path, text: str) -> str:
    file = folder / "module.py"
    file.write_text(text)
    return f"--command={shlex.join([sys.executable, str(file)])}"


def ready(running: Running) -> dict[str, Any]:
    return running.log("simulating")


def printed(running: Running, kind: str, **wanted: Any) -> dict[str, Any]:
    """Wait for a line of this type with these fields."""

    def find(running: Running) -> dict[str, Any] | None:
        for line in running.messages():
            if line["type"] == kind and wanted.items() <= line.items():
                return line
        return None

    found: dict[str, Any] = running.wait_for(find)
    return found


def second(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """Run a command of the second terminal here; return its exit status and what it printed."""
    capsys.readouterr()
    code = run_here([*arguments, "--json"] if "send" not in arguments else [*arguments])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else None


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = run_here([*arguments])
    return code, json.loads(capsys.readouterr().err)["message"]


def test_a_second_terminal_plays_the_cloud(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Running(
        "simulate", program(folder, MODULE), "--module=door", "--desired", "a.b=[1, x]"
    ) as simulation:
        begun = printed(simulation, "message", output="begun")
        assert begun["body"] == {"a": {"b": [1, "x"]}, "$version": 2}
        printed(simulation, "connected", session_present=False)
        assert second(capsys, "twin", "set", "a.c=true", "a.b=null", "d=2.5") == (0, {"version": 3})
        printed(simulation, "reported", patch={"seen": 3})
        assert second(capsys, "twin", "get", "reported.seen") == (0, 3)
        assert second(capsys, "twin", "get", "desired")[1] == {
            "a": {"c": True},
            "d": 2.5,
            "$version": 3,
        }
        assert second(capsys, "method", "call", "echo", '{"x": [1]}') == (
            0,
            {"status": 200, "payload": {"x": [1]}},
        )
        code, answer = second(capsys, "method", "call", "other")
        assert (code, answer["status"]) == (1, 404)
        second(capsys, "input", "send", "in", '{"boxes": 2}', "--property", "zone=a b")
        back = printed(simulation, "message", output="back")
        assert (back["body"], back["properties"]) == ({"boxes": 2}, {"zone": "a b"})
        simulation.signal(signal.SIGINT)
        done = simulation.end()
    assert done.code == 3
    assert "goodbye" in done.err
    assert not list(folder.glob("edgevision-*/*"))


SLEEP = "import signal, time; signal.signal(signal.SIGTERM, {}); print('up'); time.sleep(60)"


def test_a_module_that_does_not_end_is_killed_on_a_second_ctrl_c(folder: Path) -> None:
    with Running("simulate", program(folder, SLEEP.format("signal.SIG_IGN"))) as simulation:
        ready(simulation)
        simulation.log("up")
        simulation.signal(signal.SIGINT)
        simulation.log("Ctrl-C again kills it")
        simulation.signal(signal.SIGINT)
        simulation.log("killing it")
        assert simulation.end().code == 128 + signal.SIGKILL


def test_a_module_that_does_not_end_is_killed_before_eight_seconds_are_over(folder: Path) -> None:
    with Running("simulate", program(folder, SLEEP.format("signal.SIG_IGN"))) as simulation:
        simulation.log("up")
        simulation.signal(signal.SIGINT)
        simulation.log("killing it")
        assert simulation.end().code == 128 + signal.SIGKILL
    assert STOP_LIMIT_S < 8


def test_the_modules_log_keeps_its_levels(folder: Path) -> None:
    text = """for number, word in ((3, "bad"), (4, "odd"), (6, "so"), (7, "fine")):
        print(f"<{number}> 2026-11-24 12:00:00.000 +00:00 [x] {word}")
    """
    done = run("simulate", program(folder, text))
    wanted = {"error": "[x] bad", "warning": "[x] odd", "info": "[x] so", "debug": "[x] fine"}
    said = {log["level"]: log["message"] for log in done.logs if "[x]" in log["message"]}
    assert said == wanted
    quiet = run("simulate", program(folder, text), "--quiet")
    assert [log["level"] for log in quiet.logs] == ["error", "warning"]


def test_the_exit_status_is_the_modules(folder: Path) -> None:
    done = run("simulate", program(folder, "raise SystemExit(7)"), "--text")
    assert done.code == 7
    assert "the module has ended with exit status 7; 0 messages" in done.err


def test_a_simulation_ends_after_its_time(folder: Path) -> None:
    done = run("simulate", program(folder, SLEEP.format("signal.SIG_DFL")), "--duration-s=0.5")
    assert done.code == 128 + signal.SIGTERM


def test_two_simulations_run_side_by_side(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = program(folder, SLEEP.format("signal.SIG_DFL"))
    with (
        Running("simulate", command) as first,
        Running("simulate", command) as other,
        Running("simulate", command, "--module=yard") as third,
    ):
        names = {ready(running)["host"] for running in (first, other, third)}
        assert len(names) == 3
        code, said = failure(capsys, "twin", "show")
        assert code == 2
        assert "say --module" in said
        code, said = failure(capsys, "twin", "show", "--module=edgevision")
        assert f"edgevision-{first.process.pid}" in said
        for name in ("yard", f"edgevision-{first.process.pid}"):
            assert second(capsys, "twin", "show", f"--module={name}")[0] == 0
        assert "no simulation of 'barn'" in failure(capsys, "twin", "show", "--module=barn")[1]
        # Nobody but this user reaches them.
        for path in folder.glob("edgevision-*/*.sock"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        for running in (first, other, third):
            running.signal(signal.SIGTERM)
            assert running.end().code == 128 + signal.SIGTERM


def test_without_a_simulation_it_is_said_how_to_start_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = failure(capsys, "method", "call", "ping")
    assert (code, said.count("edgevision simulate")) == (2, 1)
    # What a killed one has left behind does not count, and is removed.
    dead = folder / f"edgevision-{os.getuid()}" / "edgevision-1.sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(dead))
    assert failure(capsys, "twin", "show")[0] == 2
    assert not dead.exists()


def test_a_runtime_folder_that_others_can_enter_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / f"edgevision-{os.getuid()}").mkdir(mode=0o755)
    assert "is not a folder of yours alone" in failure(capsys, "twin", "show")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--route", "a=FROM nowhere INTO $upstream", "--command", "true"], "routes.a"),
        (["--route", "nothing", "--command", "true"], "--route wants NAME=ROUTE"),
        (["--desired", "a=1", "--desired", "a.b=1", "--command", "true"], "above it is set"),
        (["--desired", "=1", "--command", "true"], "wants PATH=VALUE"),
        (["--command", "no-such-program-anywhere"], "there is no such program"),
        (["no-such.yaml"], "no-such.yaml"),
        (["--command", "true", "--stage", "motion"], "say one of the two"),
        (["--module", "a/b", "--command", "true"], "no module id"),
        (["--desired", "a$=1", "--command", "true"], "a$"),
    ],
)
def test_mistakes_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, message = failure(capsys, "simulate", *arguments)
    assert code == 2
    assert said in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["method", "call", "ping", "{"], "not JSON"),
        (["input", "send", "in", "1", "--property", "x"], "--property wants NAME=VALUE"),
        (["twin", "set", "a: b"], "wants PATH=VALUE"),
        (["twin", "sett", "a=1"], "set"),
    ],
)
def test_mistakes_of_the_second_terminal_are_told(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, message = failure(capsys, *arguments)
    assert code == 2
    assert said in message


def test_faults(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Running("simulate", program(folder, MODULE)) as simulation:
        printed(simulation, "message", output="begun")
        assert second(capsys, "fault", "restart")[0] == 0
        printed(simulation, "down")
        printed(simulation, "connected", session_present=True)
        assert second(capsys, "method", "call", "echo", "1")[0] == 0
        assert second(capsys, "fault", "twin", "429")[0] == 0
        assert second(capsys, "fault", "none")[0] == 0
        for arguments, said in (
            (["sign", "-1"], "no such option"),
            (["delay"], "delay wants seconds"),
            (["restart", "1"], "restart takes no value"),
            (["restrat"], "did you mean 'restart'"),
        ):
            assert said in failure(capsys, "fault", *arguments)[1].lower().replace("\n", " ")
        assert "nested deeper" in failure(capsys, "twin", "set", ".".join("abcdefghijkl") + "=1")[1]
        assert "the twin has no" in failure(capsys, "twin", "get", "desired.x")[1]
        simulation.signal(signal.SIGTERM)
        assert simulation.end().code == 3


def test_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(["fault", "--text"]) == 0
    assert "lose-pubacks count" in capsys.readouterr().out
    assert run_here(["fault", "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["fault"] == "restart"


def test_on_a_terminal_there_is_a_line_for_each_message(folder: Path) -> None:
    text = MODULE.replace('twin["desired"]', '{"text": "\\u001b[2Jgr\\u00fcn"}')
    text = text.replace("await stop.wait()", "await asyncio.sleep(0.1)")
    done = on_terminal("simulate", program(folder, text))
    assert done.code == 3
    (line,) = [line for line in done.out.splitlines() if "begun" in line]
    assert line.split(None, 3)[1:3] == ["message", "begun"]
    assert "grün" in line


def test_a_simulation_that_ends_answers_a_waiting_terminal(folder: Path) -> None:
    slow = MODULE.replace("    status = 200", "    say(); await asyncio.sleep(60); status = 200")
    slow = slow.replace(
        "async def main():", "def say(): print('called', flush=True)\n\nasync def main():"
    )
    with Running("simulate", program(folder, slow)) as simulation:
        printed(simulation, "message", output="begun")
        with Running("method", "call", "slow") as asking:
            simulation.log("called")
            simulation.signal(signal.SIGINT)
            simulation.end()
            done = asking.end()
    assert done.code == 1
    assert "the simulation" in done.error


def test_a_simulation_that_is_killed_takes_its_module_along(folder: Path) -> None:
    note = folder / "ended"
    text = (
        "import signal, sys, time\n"
        f"def end(*_): open({str(note)!r}, 'w').close(); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(60)"
    )
    with Running("simulate", program(folder, text)) as simulation:
        simulation.log("up")
        simulation.signal(signal.SIGKILL)
        simulation.end()
        until(note.exists)


def test_a_pipeline_is_steered_like_a_module_of_iot_edge(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Running(
        "simulate", "--source=door=synthetic:?seed=7", "--stage=motion", folder=tmp_path
    ) as simulation:
        message = printed(simulation, "message", output="results")
        assert message["body"]["camera"] == "door"
        assert simulation.log("preview at")["level"] == "info"
        code, answer = second(capsys, "method", "call", "status")
        assert (code, answer["payload"]["cameras"][0]["name"]) == (0, "door")
        second(capsys, "twin", "set", "stages.motion.min_area=5000")

        def applied(running: Running) -> bool:
            reports = [line for line in running.messages() if line["type"] == "reported"]
            return any(r["patch"].get("desired", {}).get("version") == 2 for r in reports)

        simulation.wait_for(applied)
        path = "reported.cameras.door.stages.motion.min_area"
        assert second(capsys, "twin", "get", path) == (0, 5000)
        second(capsys, "fault", "restart")
        printed(simulation, "connected", session_present=True)
        simulation.signal(signal.SIGINT)
        assert simulation.end().code == 0
    # The outbox was the simulation's own, and has gone with it.
    assert not list(tmp_path.iterdir())
