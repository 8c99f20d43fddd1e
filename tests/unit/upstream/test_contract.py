"""What every upstream promises. Another upstream passes by being added to `CASES`."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from edgevision.errors import UpstreamError
from edgevision.testing.collecting import CollectingUpstream
from edgevision.upstream.console import ConsoleUpstream
from edgevision.upstream.jsonl import JsonlUpstream
from edgevision.upstream.settings import ConsoleSettings, JsonlSettings
from edgevision.upstream.upstream import Upstream
from tests.unit.upstream.helpers import TroubledUpstream, messages

Read = Callable[[], list[tuple[str, int]]]
Case = tuple[Upstream, Read]


def _documents(text: str) -> list[tuple[str, int]]:
    bodies = [json.loads(line) for line in text.splitlines()]
    return [(body["camera"], body["body"]["number"]) for body in bodies]


def console_json(folder: Path) -> Case:
    file = io.StringIO()
    upstream = ConsoleUpstream(ConsoleSettings(format="json"), file)
    return upstream, lambda: _documents(file.getvalue())


def console_bytes(folder: Path) -> Case:
    file = io.BytesIO()
    upstream = ConsoleUpstream(ConsoleSettings(format="json"), file)
    return upstream, lambda: _documents(file.getvalue().decode())


def console_text(folder: Path) -> Case:
    file = io.StringIO()
    upstream = ConsoleUpstream(ConsoleSettings(format="text"), file)
    line = re.compile(r"[\d:]{8}  (\w+) .*\"number\": (\d+)")

    def read() -> list[tuple[str, int]]:
        found = [line.match(text) for text in file.getvalue().splitlines()]
        return [(match[1], int(match[2])) for match in found if match]

    return upstream, read


def console_file(folder: Path) -> Case:
    path = folder / "out.txt"
    file = path.open("w")
    upstream = ConsoleUpstream(ConsoleSettings(), file)

    def read() -> list[tuple[str, int]]:
        file.close()
        return _documents(path.read_text())

    return upstream, read


def jsonl(folder: Path) -> Case:
    path = folder / "new" / "results.jsonl"
    upstream = JsonlUpstream(JsonlSettings(path=str(path)))
    return upstream, lambda: _documents(path.read_text())


def jsonl_rotating(folder: Path) -> Case:
    path = folder / "results.jsonl"
    settings = JsonlSettings(path=str(path), max_bytes=1000, keep=500, fsync=True)

    def read() -> list[tuple[str, int]]:
        older = sorted(folder.glob("*.jsonl.*"), key=lambda file: -int(file.suffix[1:]))
        return _documents("".join(file.read_text() for file in [*older, path]))

    return JsonlUpstream(settings), read


def collecting(folder: Path) -> Case:
    upstream = CollectingUpstream()
    return upstream, lambda: _documents("\n".join(m.encode().decode() for m in upstream.messages))


def troubled(folder: Path) -> Case:
    upstream = TroubledUpstream()
    return upstream, lambda: _documents("\n".join(m.encode().decode() for m in upstream.messages))


CASES = [
    console_json,
    console_bytes,
    console_text,
    console_file,
    jsonl,
    jsonl_rotating,
    collecting,
    troubled,
]


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    made: Case = request.param(tmp_path)
    return made


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))


def test_messages_arrive_in_order_per_camera(case: Case) -> None:
    upstream, read = case
    doors, tills = messages(100, "door"), messages(100, "till")

    async def send(several: list[Any]) -> None:
        for message in several:
            await upstream.send(message)

    async def main() -> None:
        await upstream.start()
        await asyncio.gather(send(doors), send(tills))
        await upstream.stop()

    run(main())
    arrived = read()
    assert [number for camera, number in arrived if camera == "door"] == list(range(1, 101))
    assert [number for camera, number in arrived if camera == "till"] == list(range(1, 101))


def test_stop_flushes_what_is_being_sent(case: Case) -> None:
    upstream, read = case

    async def main() -> None:
        await upstream.start()
        sending = [asyncio.ensure_future(upstream.send(m)) for m in messages(50)]
        await asyncio.sleep(0)  # every send has begun, none is awaited
        await upstream.stop()
        await asyncio.gather(*sending)

    run(main())
    assert [number for _, number in read()] == list(range(1, 51))


def test_sends_only_while_started(case: Case) -> None:
    upstream, read = case
    first, second, third = messages(3)

    async def refused(message: Any) -> None:
        with pytest.raises(UpstreamError, match="not started") as caught:
            await upstream.send(message)
        assert not caught.value.retryable

    async def main() -> None:
        await refused(first)
        await upstream.start()
        await upstream.send(second)
        await upstream.stop()
        await refused(third)

    run(main())
    assert [number for _, number in read()] == [2]


def test_start_and_stop_may_be_repeated(case: Case) -> None:
    upstream, read = case
    first, second = messages(2)

    async def main() -> None:
        await upstream.stop()
        await upstream.start()
        await upstream.start()
        await upstream.send(first)
        await asyncio.gather(upstream.stop(), upstream.stop())
        await upstream.stop()
        await upstream.start()
        await upstream.send(second)
        await upstream.stop()

    run(main())
    assert [number for _, number in read()] == [1, 2]


def test_outlives_its_event_loop(case: Case) -> None:
    upstream, read = case

    async def main(several: list[Any]) -> None:
        await upstream.start()
        for message in several:
            await upstream.send(message)
        await upstream.stop()

    every = messages(4)
    run(main(every[:2]))
    run(main(every[2:]))
    assert [number for _, number in read()] == [1, 2, 3, 4]


def test_a_sender_that_stops_waiting_harms_nobody(case: Case) -> None:
    upstream, read = case

    async def main() -> None:
        await upstream.start()
        sending = [asyncio.ensure_future(upstream.send(m)) for m in messages(20)]
        await asyncio.sleep(0)
        for task in sending[::2]:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        await upstream.stop()

    run(main())
    numbers = [number for _, number in read()]
    assert numbers == sorted(set(numbers))
    assert set(numbers) >= set(range(2, 21, 2))


def test_has_a_name_and_is_not_gone(case: Case) -> None:
    upstream, read = case
    assert upstream.name not in ("", "upstream")
    assert not upstream.gone
    run(upstream.start())
    run(upstream.stop())
    assert read() == []
