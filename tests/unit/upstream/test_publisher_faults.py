"""A publisher whose upstreams are slow, hang, cannot start or lose their reader."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from edgevision.errors import ConfigurationError, UpstreamError
from edgevision.testing.collecting import CollectingUpstream
from edgevision.upstream.jsonl import JsonlUpstream
from edgevision.upstream.message import Message
from edgevision.upstream.publisher import Publisher
from edgevision.upstream.settings import DeliverySettings, JsonlSettings, PublishSettings
from tests.unit.upstream.helpers import TroubledUpstream, fill, numbers, publisher, result, until


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))


def test_one_that_hangs_delays_the_others_once(tmp_path: Path) -> None:
    hung, good = TroubledUpstream(asyncio.Event(), name="hung"), CollectingUpstream("good")

    async def main() -> None:
        settings = PublishSettings(
            when="every", delivery=DeliverySettings(queue=4, give_up_after_s=0.1)
        )
        made = Publisher("vision", settings, [hung, good])
        await made.start()
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for sequence in range(1, 201):
            await made.publish(result("person", sequence=sequence))
        assert 0.1 <= loop.time() - begun_s < 5
        await good.wait_for(200)
        begun_s = loop.time()
        await made.stop(0.1)
        assert loop.time() - begun_s < 5
        lost = made.statistics().upstreams["hung"].lost
        assert lost == {"queue full": 196, "stopped": 4}
        assert made.statistics().upstreams["good"].lost == {}

    run(main())
    assert numbers(good) == list(range(1, 201))


def test_a_message_reaches_those_with_room_before_it_waits_for_one_without() -> None:
    gate = asyncio.Event()
    slow, good = TroubledUpstream(gate, name="slow"), CollectingUpstream("good")

    async def main() -> None:
        made, _ = publisher(slow, good, when="every", delivery={"queue": 1})
        await made.start()
        await made.publish(result())
        waiting = asyncio.ensure_future(made.publish(result(sequence=2)))
        await good.wait_for(2)
        assert not waiting.done()
        gate.set()
        await waiting
        await made.stop()

    run(main())
    assert numbers(slow) == numbers(good) == [1, 2]


def test_back_pressure_reaches_the_caller_and_nothing_is_lost() -> None:
    class Slow(CollectingUpstream):
        async def send(self, message: Message) -> None:
            await asyncio.sleep(0)
            await super().send(message)

    upstream = Slow()

    async def main() -> None:
        made, _ = publisher(upstream, when="every", delivery={"queue": 2})
        await made.start()

        async def play(camera: str) -> None:
            for sequence in range(1, 101):
                await made.publish(result("person", camera=camera, sequence=sequence))
                assert made.statistics().upstreams["collecting"].waiting <= 2 + 3

        await asyncio.gather(*(play(camera) for camera in "abc"))
        await made.stop()

    run(main())
    for camera in "abc":
        assert numbers(upstream, camera) == list(range(1, 101))


def test_concurrent_results_of_a_camera_keep_their_order() -> None:
    gate = asyncio.Event()
    upstream = TroubledUpstream(gate)

    async def main() -> None:
        made, clock = publisher(upstream, when="every", heartbeat_s=1, delivery={"queue": 1})
        await made.start()
        sending = [
            asyncio.ensure_future(made.publish(result(sequence=sequence)))
            for sequence in range(1, 21)
        ]
        await asyncio.sleep(0)
        clock.now_s = 100.0
        await made.tick()  # finds the camera busy
        gate.set()
        await asyncio.gather(*sending)
        await made.stop()

    run(main())
    assert numbers(upstream) == list(range(1, 21))
    assert [message.sequence for message in upstream.messages] == list(range(1, 21))


def test_a_start_that_fails_stops_what_was_started(tmp_path: Path) -> None:
    good = TroubledUpstream()
    bad = JsonlUpstream(JsonlSettings(path=str(tmp_path)))

    async def main() -> None:
        made, _ = publisher(good, bad)
        with pytest.raises(ConfigurationError, match="Is a directory"):
            await made.start()

    run(main())
    assert (good.starts_made, good.stops_made) == (1, 1)


def test_says_when_nobody_reads_any_more() -> None:
    async def main() -> None:
        gone = asyncio.Event()
        first, second = TroubledUpstream(name="first"), TroubledUpstream(name="second")
        settings = PublishSettings(when="every")
        made = Publisher("vision", settings, [first, second], on_gone=gone.set)
        await made.start()
        for upstream in (first, second):
            upstream.troubles.append(UpstreamError("no reader", retryable=False))
            upstream.left = True
            await made.publish(result())
            if upstream is first:
                await second.wait_for(1)
                assert not gone.is_set()
        await gone.wait()
        await made.stop()
        lost = [lane.lost for lane in made.statistics().upstreams.values()]
        assert lost == [{"gone": 2}, {"gone": 1}]
        assert [status.failed for status in made.status()] == [0, 0]

    run(main())


@pytest.mark.needs("small-disk")
def test_a_full_disk_delays_the_messages_and_loses_none(small_disk: Path) -> None:
    path = small_disk / "results.jsonl"
    file, good = JsonlUpstream(JsonlSettings(path=str(path))), CollectingUpstream("good")

    async def main() -> None:
        made, _ = publisher(file, good, when="every", delivery={"queue": 500})
        await made.start()
        fill(small_disk)
        for sequence in range(1, 101):
            await made.publish(result("person", sequence=sequence))
        await good.wait_for(100)
        await until(lambda: made.statistics().upstreams["jsonl"].retries > 0)
        [status] = [status for status in made.status() if status.name == "jsonl"]
        assert status.detail == f"cannot write {path}: No space left on device"
        (small_disk / "ballast").unlink()
        await made.stop()
        assert made.statistics().upstreams["jsonl"].lost == {}

    run(main())
    lines = path.read_bytes().splitlines()
    assert [Message.decode(line).id for line in lines] == [m.id for m in good.messages]
