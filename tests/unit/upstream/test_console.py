"""Standard output: lines for people on a terminal, exact JSON lines elsewhere, quiet ends."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import re
import resource
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from rich.console import Console
from rich.progress import Progress

from edgevision.errors import UpstreamError
from edgevision.json_value import json_value
from edgevision.result import Event
from edgevision.upstream.console import ConsoleUpstream
from edgevision.upstream.line import LineFormat
from edgevision.upstream.message import Message
from edgevision.upstream.policy import Report
from edgevision.upstream.settings import ConsoleSettings
from tests.unit.upstream.helpers import START_S, builder, messages, result
from tests.unit.upstream.test_message import (
    aggregate_message,
    dead_message,
    empty_aggregate_message,
    event_message,
    frame_message,
    quiet_message,
)

ROOT = Path(__file__).parents[3]


def show(several: list[Message], upstream: ConsoleUpstream) -> None:
    async def main() -> None:
        await upstream.start()
        for message in several:
            await upstream.send(message)
        await upstream.stop()

    asyncio.run(asyncio.wait_for(main(), 30))


def shown(several: list[Message], width: int = 100, encoding: str = "utf-8") -> list[str]:
    """The lines that a terminal of that width gets, without colours."""
    data = io.BytesIO()
    file = io.TextIOWrapper(data, encoding)
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    show(several, ConsoleUpstream(ConsoleSettings(format="text"), console=console))
    file.detach()
    return [line.rstrip() for line in data.getvalue().decode(encoding).split("\n")][:-1]


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# --- for people -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (frame_message(), "20:26:40  door  2 person  inside=3"),
        (quiet_message(), "20:26:40  door  live  1790 frames  1 person"),
        (dead_message(), "20:26:41  door  backing off"),
        (
            aggregate_message(),
            "20:26:43  door  60 s  3 frames  person 0..3 mean 1.33  inside=0  mode=day",
        ),
        (empty_aggregate_message(), "20:26:41  door  60 s  no frame"),
        (
            event_message(),
            '20:26:40  door  alarms (count)  {"zone": "till", "$weird key.#": [1, {"a b": null}]}',
        ),
        (
            builder().report("door", Report("frame", "first", result(values={"t": 0.123456}))),
            "20:26:40  door  nothing  t=0.1235",
        ),
        (
            builder().report(
                "door", Report("frame", "change", result("car"), {"car": 1}, ("counts.person",))
            ),
            "20:26:40  door  1 car, no person",
        ),
        (
            builder().report("door", Report("heartbeat", "quiet", None), "stalled"),
            "20:26:41  door  stalled  no frame",
        ),
        (
            builder().event(result(), Event("alarms", {"text": "x" * 1000})),
            ('20:26:40  door  alarms  {"text": "' + "x" * 100)[:99] + "…",
        ),
    ],
)
def test_a_message_is_one_line(message: Message, line: str) -> None:
    assert shown([message]) == [line]


@pytest.mark.parametrize("width", [10, 40, 79, 80, 200])
def test_a_line_is_never_wider_than_the_terminal(width: int) -> None:
    found = result("person " * 30, values={f"name{i}": i for i in range(30)})
    message = builder().report("door", Report("frame", "first", found, {"person": 30}))
    wide = builder().report("Tür", Report("frame", "first", result(values={"text": "漢字" * 40})))
    lines = shown([message, wide], width)
    assert len(lines) == 2
    assert all(Console(width=width).measure(line).maximum <= width for line in lines)
    assert lines[0].endswith("…")


def test_what_would_move_the_cursor_is_replaced() -> None:
    evil = "\x1b[2J\r\n\x9b1m\u202e\ud800[red]:smile:"
    event = Event("alarms", {"text": evil}, "co\x1bunt")
    several = [
        builder().report(
            evil,
            Report(
                "frame", "change", result("x", values=json_value({evil: evil})), {evil: 1}, (evil,)
            ),
        ),
        builder().event(result(), event),
    ]
    lines = shown(several, 300)
    assert len(lines) == 2
    for line in lines:
        assert line.isprintable()
        assert "[red]:smile:" in line


def test_cameras_are_aligned_and_keep_their_colour() -> None:
    made = LineFormat()
    several = [
        builder().report(camera, Report("frame", "first", result("a"), {"a": 1}))
        for camera in ("till", "d", "till", "d")
    ]
    lines = [made.render(message) for message in several]
    assert [line.plain.split("  ", 1)[1] for line in lines] == [
        *("till  1 a", "d     1 a") * 2,
    ]
    styles = [str(line.spans[1].style) for line in lines]
    assert styles[0] == styles[2] != styles[1] == styles[3]


def test_what_changed_is_bold() -> None:
    found = result("a", values={"x": 1, "y": 2})
    report = Report("frame", "change", found, {"a": 1, "b": 2}, ("counts.b", "values.x"))
    line = LineFormat().render(builder().report("door", report))
    bold = [line.plain[span.start : span.end] for span in line.spans if "bold" in str(span.style)]
    assert bold == ["2 b", "1"]


def test_a_terminal_without_unicode_gets_none() -> None:
    message = builder().report("Tür", Report("frame", "first", result("ä"), {"ä": 1}))
    assert shown([message], encoding="ascii") == ["20:26:40  T?r  1 ?"]
    [cut] = shown([event_message()], 30, encoding="ascii")
    assert cut == "20:26:40  door  alarms (count)"


def test_lines_appear_above_a_progress_bar() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=60, color_system=None)
    upstream = ConsoleUpstream(ConsoleSettings(), console=console)
    with Progress(console=console, refresh_per_second=1000) as progress:
        task = progress.add_task("working", total=50)

        def advance() -> None:
            for _ in range(50):
                progress.advance(task)

        advancing = threading.Thread(target=advance)
        advancing.start()
        show(messages(50), upstream)
        advancing.join()
    screen = re.sub(r"\x1b\[[\d?]*[a-zA-Z]", "", file.getvalue()).replace("\r", "\n").split("\n")
    lines = [line for line in screen if "alarms (count)" in line]
    assert len(lines) == 50
    assert all(line.startswith("20:26:40  door  alarms") for line in lines)
    assert any(line.startswith("working") for line in screen)


# --- for programs ---------------------------------------------------------------------------------


PRINT = """
import asyncio
from edgevision.upstream.console import ConsoleUpstream
from edgevision.upstream.settings import ConsoleSettings
from tests.unit.upstream.helpers import messages

async def main():
    upstream = ConsoleUpstream(ConsoleSettings())
    await upstream.start()
    print("before", end="|")
    for message in messages(3, text="Tür"):
        await upstream.send(message)
    print("after")
    await upstream.stop()

asyncio.run(main())
"""


def test_elsewhere_it_is_the_message_itself_in_order_with_other_output() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-c", PRINT]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True)
    assert done.stderr == b""
    lines = [message.encode() for message in messages(3, text="Tür")]
    assert done.stdout == b"before|" + b"\n".join([*lines, b"after", b""])


class Terminal:
    """A pseudo terminal of 72 columns, and what was written to it."""

    def __init__(self) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 72, 0, 0))
        self.file: IO[str] = os.fdopen(theirs, "w")

    def read(self) -> str:
        self.file.close()
        data = b""
        while True:
            try:
                data += os.read(self.ours, 65536)
            except OSError:
                os.close(self.ours)
                return data.decode()


@pytest.mark.parametrize(("form", "text"), [("auto", True), ("text", True), ("json", False)])
def test_a_terminal_is_recognised(form: Any, text: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    show([frame_message()], ConsoleUpstream(ConsoleSettings(format=form), terminal.file))
    output = terminal.read()
    assert ("2 person" in output) is text
    assert ("\x1b[" in output) is text
    assert output.startswith("{") is not text


def test_text_into_a_file_is_neither_cut_nor_coloured(tmp_path: Path) -> None:
    with (tmp_path / "log.txt").open("w+") as file:
        message = builder().event(result(), Event("alarms", {"text": "x" * 300}))
        show([message], ConsoleUpstream(ConsoleSettings(format="text"), file))
        file.seek(0)
        assert file.read() == f'20:26:40  door  alarms  {{"text": "{"x" * 300}"}}\n'


# --- ends and faults ------------------------------------------------------------------------------

PUBLISH = """
import asyncio, sys
from edgevision.upstream.publisher import Publisher
from edgevision.upstream.console import ConsoleUpstream
from edgevision.upstream.settings import ConsoleSettings, PublishSettings
from tests.unit.upstream.helpers import result

async def main():
    gone = asyncio.Event()
    upstream = ConsoleUpstream(ConsoleSettings(format=sys.argv[1]))
    settings = PublishSettings(when="every")
    publisher = Publisher("vision", settings, [upstream], on_gone=gone.set)
    await publisher.start()
    sequence = 0
    while not gone.is_set():
        sequence += 1
        await publisher.publish(result("person", sequence=sequence))
    await publisher.stop()
    assert publisher.statistics().upstreams["console"].lost.keys() == {"gone"}
    print("never read")

asyncio.run(asyncio.wait_for(main(), 30))
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_reader_that_leaves_ends_it_without_a_word(form: str) -> None:
    command = [sys.executable, "-c", PUBLISH, form]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "TZ": "UTC"}, **pipes) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        lines = [child.stdout.readline() for _ in range(3)]
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(30) == 0
    assert all(b"person" in line for line in lines)


def test_a_closed_file_is_gone() -> None:
    file = io.StringIO()
    upstream = ConsoleUpstream(ConsoleSettings(format="json"), file)
    file.close()

    async def main() -> None:
        await upstream.start()
        for message in messages(2):
            with pytest.raises(UpstreamError) as caught:
                await upstream.send(message)
            assert not caught.value.retryable
        assert upstream.gone
        await upstream.stop()

    asyncio.run(main())


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_behind_it_can_be_tried_again_and_no_line_is_cut(tmp_path: Path) -> None:
    first, second, third = messages(3)
    path = tmp_path / "out.jsonl"
    with path.open("w") as file:
        upstream = ConsoleUpstream(ConsoleSettings(), file)

        async def main() -> None:
            await upstream.start()
            await upstream.send(first)
            with file_size_limit(len(first.encode()) + 50):
                for _ in range(2):
                    with pytest.raises(UpstreamError, match="File too large") as caught:
                        await upstream.send(second)
                    assert caught.value.retryable
            await upstream.send(second)
            await upstream.send(third)
            await upstream.stop()

        asyncio.run(main())
    assert path.read_bytes() == b"".join(m.encode() + b"\n" for m in (first, second, third))


def test_a_message_given_up_after_a_cut_line_is_still_whole(tmp_path: Path) -> None:
    first, second = messages(2)
    path = tmp_path / "out.jsonl"
    with path.open("w") as file:
        upstream = ConsoleUpstream(ConsoleSettings(), file)

        async def main() -> None:
            await upstream.start()
            with file_size_limit(50), pytest.raises(UpstreamError):
                await upstream.send(first)
            await upstream.send(second)
            await upstream.stop()

        asyncio.run(main())
    assert path.read_bytes() == b"".join(m.encode() + b"\n" for m in (first, second))


def test_a_full_device_is_retryable() -> None:
    with open("/dev/full", "w") as file:
        upstream = ConsoleUpstream(ConsoleSettings(), file)

        async def main() -> None:
            await upstream.start()
            with pytest.raises(UpstreamError, match="No space left") as caught:
                await upstream.send(messages(1)[0])
            assert caught.value.retryable
            assert not upstream.gone
            await upstream.stop()

        asyncio.run(main())


def test_a_slow_reader_makes_the_sender_wait_and_not_the_loop() -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)  # as some shells leave it
    several = messages(40, text="x" * 5000)
    with os.fdopen(theirs, "w") as file, os.fdopen(ours, "rb") as reader:
        upstream = ConsoleUpstream(ConsoleSettings(), file)

        async def main() -> list[bytes]:
            await upstream.start()
            sending = asyncio.gather(*(upstream.send(message) for message in several))
            loop, full = asyncio.get_running_loop(), asyncio.Event()

            def look() -> None:
                if select.select([], [theirs], [], 0)[1]:
                    loop.call_later(0.001, look)
                else:
                    full.set()

            look()
            await full.wait()
            assert not sending.done()
            lines = [await asyncio.to_thread(reader.readline) for _ in several]
            await sending
            await upstream.stop()
            return lines

        lines = asyncio.run(asyncio.wait_for(main(), 30))
    assert lines == [message.encode() + b"\n" for message in several]


def test_the_example_times_are_those_of_the_helpers() -> None:
    assert START_S % 86400 == 20 * 3600 + 26 * 60 + 40
