"""`edgevision record` and `replay`: what a camera saw, again."""

from __future__ import annotations

import resource
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgevision.json_value import utc_text
from edgevision.recording import Recording
from edgevision.slot import Slot
from edgevision.sources import open_source
from tests.unit.cli.command import Running, command, environment, on_terminal, run, until

CLIP = "synthetic:?frames=8&pace=fast&width=160&height=96"
LIVE = "synthetic:?width=160&height=96&fps=30"


def test_every_frame_of_a_finite_source_bit_for_bit(tmp_path: Path) -> None:
    done = run("record", CLIP, "night", folder=tmp_path)
    assert done.code == 0
    (line,) = done.lines
    assert (line["folder"], line["frames"], line["lost"]) == ("night", 8, 0)
    source, slot = open_source(CLIP), Slot()
    source.open()
    for frame in Recording(tmp_path / "night"):
        assert source.read(slot)
        assert slot.image is not None
        assert np.array_equal(frame.image, slot.image)
        assert frame.truth is not None
        assert slot.truth is not None
        assert frame.truth.objects == slot.truth.objects
    source.close()


def test_replay_has_the_times_of_the_recording(tmp_path: Path) -> None:
    run("record", CLIP, "night", folder=tmp_path)
    (tmp_path / "p.yaml").write_text(
        "cameras: {cam: 'replay:night?pace=fast'}\npublish: {when: every}\nweb: false\n"
    )
    lines = run("run", "p.yaml", folder=tmp_path).lines
    seen = [line["captured_at"] for line in lines if line["kind"] == "frame"]
    recorded = [frame.captured_at_s for frame in Recording(tmp_path / "night").frames]
    assert seen == [utc_text(captured_at_s) for captured_at_s in recorded]


def test_replay_through_a_stage(tmp_path: Path) -> None:
    run("record", CLIP, "night", folder=tmp_path)
    done = run("replay", "night", "--stage", "edges", "--fast", "--no-web", folder=tmp_path)
    assert done.code == 0
    assert any("8 frames captured, 8 processed" in log["message"] for log in done.logs)


def test_so_many_frames_of_a_camera(tmp_path: Path) -> None:
    done = run("record", LIVE, "a", "--frames", "5", folder=tmp_path)
    assert done.code == 0
    assert len(Recording(tmp_path / "a")) == 5


def test_so_many_seconds_of_a_camera(tmp_path: Path) -> None:
    done = run("record", LIVE, "a", "--duration-s", "1", folder=tmp_path)
    assert done.code == 0
    assert len(Recording(tmp_path / "a")) >= 1


def test_ctrl_c_ends_a_recording_well(tmp_path: Path) -> None:
    with Running("record", LIVE, "a", folder=tmp_path) as running:
        until((tmp_path / "a" / "00000002.png").exists)
        running.signal(signal.SIGINT)
        done = running.end()
    assert done.code == 0
    (line,) = done.lines
    assert line["frames"] == len(Recording(tmp_path / "a")) >= 1


def test_jpeg_is_smaller(tmp_path: Path) -> None:
    (lossless,) = run("record", CLIP, "a", folder=tmp_path).lines
    (lossy,) = run("record", CLIP, "b", "--jpeg", "80", folder=tmp_path).lines
    assert lossy["bytes"] < lossless["bytes"] / 2
    assert sorted(path.suffix for path in (tmp_path / "b").iterdir())[0] == ".jpg"


def test_for_people(tmp_path: Path) -> None:
    text = on_terminal("record", CLIP, "night", folder=tmp_path).out
    assert "8 frames, " in text
    assert "Play it:  edgevision replay night" in text


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "mine.txt").write_text("")
    done = run("record", CLIP, "night", folder=tmp_path)
    assert done.code == 2
    assert "night is not empty: a recording needs a folder of its own" in done.error
    assert [path.name for path in (tmp_path / "night").iterdir()] == ["mine.txt"]


def test_a_source_that_gives_nothing(tmp_path: Path) -> None:
    done = run("record", "none.mp4", "a", folder=tmp_path)
    assert done.code == 1
    assert any("there is no such file" in log["message"] for log in done.logs)
    assert list((tmp_path / "a").iterdir()) == []


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = subprocess.run(
        command("record", CLIP, "a"),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=small_files,
    )
    assert done.returncode == 1
    assert "File too large; the recording is good up to frame 0" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["none", "empty"])
def test_what_is_no_recording(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    done = run("replay", name, folder=tmp_path)
    assert done.code == 2
    assert f"{name} is no recording" in done.error
