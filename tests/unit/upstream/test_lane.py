"""The way to one upstream: retries, time limits, back-pressure, and nothing unaccounted for."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from edgevision.errors import ConfigurationError, UpstreamError
from edgevision.upstream.lane import Lane, LaneStatistics
from edgevision.upstream.settings import DeliverySettings
from tests.unit.upstream.helpers import TroubledUpstream, messages, until

LATER = UpstreamError("disk full", retryable=True)
NEVER = UpstreamError("too large", retryable=False)


def delivery(**settings: Any) -> DeliverySettings:
    quick = {"first_retry_s": 0.001, "longest_retry_s": 0.002, "attempt_timeout_s": 5}
    return DeliverySettings(**{**quick, **settings})


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))


def balance(statistics: LaneStatistics) -> bool:
    lost = sum(statistics.lost.values())
    return statistics.accepted == statistics.sent + lost + statistics.waiting


def test_a_retryable_fault_is_tried_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    upstream = TroubledUpstream(None, LATER, LATER, LATER)

    async def main() -> None:
        lane = Lane(upstream, delivery())
        await lane.start()
        for message in messages(3):
            await lane.put(message)
        await upstream.wait_for(3)
        await lane.stop(5)
        assert lane.statistics() == LaneStatistics("troubled", 3, 3, {}, 0, retries=3)

    with caplog.at_level(logging.INFO, "edgevision.upstream"):
        run(main())
    assert [body["number"] for body in upstream.bodies] == [1, 2, 3]
    assert [record.message for record in caplog.records] == [
        "upstream troubled: disk full (trying again)",
        "upstream troubled takes messages again",
    ]


def test_a_refusal_costs_one_message_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    upstream = TroubledUpstream(NEVER, None, NEVER, None)

    async def main() -> None:
        lane = Lane(upstream, delivery())
        await lane.start()
        for message in messages(4):
            await lane.put(message)
        await upstream.wait_for(2)
        await lane.stop(5)
        assert lane.statistics() == LaneStatistics("troubled", 4, 2, {"refused": 2}, 0)

    with caplog.at_level(logging.INFO, "edgevision.upstream"):
        run(main())
    assert [body["number"] for body in upstream.bodies] == [2, 4]
    assert [record.message for record in caplog.records] == [
        "upstream troubled: too large (message refused)"
    ]


def test_an_outage_is_logged_again_after_a_recovery(caplog: pytest.LogCaptureFixture) -> None:
    upstream = TroubledUpstream(LATER, None, LATER)

    async def main() -> None:
        lane = Lane(upstream, delivery())
        await lane.start()
        for message in messages(2):
            await lane.put(message)
        await upstream.wait_for(2)
        await lane.stop(5)

    with caplog.at_level(logging.INFO, "edgevision.upstream"):
        run(main())
    assert len(caplog.records) == 4


def test_a_message_is_given_up_after_its_time() -> None:
    upstream = TroubledUpstream(*[LATER] * 1000)

    async def main() -> None:
        lane = Lane(upstream, delivery(give_up_after_s=0.05))
        await lane.start()
        await lane.put(messages(1)[0])
        await until(lambda: bool(lane.statistics().lost))
        statistics = lane.statistics()
        assert statistics.lost == {"gave up": 1}
        assert statistics.detail == "disk full"
        upstream.troubles.clear()
        await lane.put(messages(2)[1])
        await upstream.wait_for(1)
        await lane.stop(5)
        assert lane.statistics().detail == ""

    run(main())
    assert 5 < upstream.attempts < 100


def test_an_attempt_that_hangs_is_cut_off_and_made_again() -> None:
    never = asyncio.Event()
    upstream = TroubledUpstream(never)

    async def main() -> None:
        lane = Lane(upstream, delivery(attempt_timeout_s=0.02))
        await lane.start()
        await lane.put(messages(1)[0])
        await upstream.wait_for(1)
        await lane.stop(5)
        assert lane.statistics() == LaneStatistics("troubled", 1, 1, {}, 0, retries=1)

    run(main())


def test_a_full_queue_makes_the_sender_wait_while_the_upstream_moves() -> None:
    async def main() -> None:
        gates = [asyncio.Event() for _ in range(5)]
        upstream = TroubledUpstream(*gates)
        lane = Lane(upstream, delivery(queue=2))
        await lane.start()
        first, second, third, fourth, fifth = messages(5)
        await lane.put(first)
        await lane.put(second)
        assert lane.full
        waiting = asyncio.ensure_future(lane.put(third))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert lane.statistics().waiting == 3
        gates[0].set()
        await waiting
        assert lane.full
        later = [asyncio.ensure_future(lane.put(message)) for message in (fourth, fifth)]
        for gate in gates:
            gate.set()
        await asyncio.gather(*later)
        await upstream.wait_for(5)
        await lane.stop(5)
        assert [body["number"] for body in upstream.bodies] == [1, 2, 3, 4, 5]
        assert lane.statistics().lost == {}

    run(main())


def test_a_slow_upstream_loses_nothing_however_long_it_takes() -> None:
    class Slow(TroubledUpstream):
        async def send(self, message: Any) -> None:
            await asyncio.sleep(0.02)
            await super().send(message)

    async def main() -> None:
        upstream = Slow()
        lane = Lane(upstream, delivery(queue=2, give_up_after_s=0.1))
        await lane.start()
        for message in messages(15):
            await lane.put(message)
        await lane.stop(5)
        assert lane.statistics() == LaneStatistics("troubled", 15, 15, {}, 0)

    run(main())


def test_an_upstream_that_hangs_holds_the_sender_up_once() -> None:
    async def main() -> None:
        never = asyncio.Event()
        upstream = TroubledUpstream(never)
        lane = Lane(upstream, delivery(queue=2, give_up_after_s=0.05))
        await lane.start()
        several = messages(50)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for message in several[:3]:
            await lane.put(message)
        assert loop.time() - begun_s >= 0.05
        for message in several[3:]:
            putting = lane.put(message)
            with pytest.raises(StopIteration):  # it does not wait at all
                putting.send(None)
        assert lane.statistics().lost == {"queue full": 48}
        never.set()
        await upstream.wait_for(2)
        await lane.put(several[0])  # and takes messages again at once
        await upstream.wait_for(3)
        await lane.stop(5)
        assert balance(lane.statistics())

    run(main())


def test_one_that_swallows_its_time_limit_holds_the_sender_up_once_too() -> None:
    class Deaf(TroubledUpstream):
        async def send(self, message: Any) -> None:
            while not self.left:
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    self.attempts += 1

    async def main() -> None:
        upstream = Deaf()
        settings = delivery(queue=1, give_up_after_s=0.05, attempt_timeout_s=0.01)
        lane = Lane(upstream, settings)
        await lane.start()
        for message in messages(5):
            await lane.put(message)
        assert lane.statistics().lost == {"queue full": 4}
        stopping = asyncio.ensure_future(lane.stop(0.05))
        await stopping
        assert lane.statistics().lost == {"queue full": 4, "stopped": 1}
        upstream.left = True
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if task.get_name() == "upstream-troubled":
                await task  # ends well although it ends late

    run(main())


def test_stop_sends_what_is_waiting() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        upstream = TroubledUpstream(gate, LATER, LATER)
        lane = Lane(upstream, delivery())
        await lane.start()
        for message in messages(20):
            await lane.put(message)
        asyncio.get_running_loop().call_later(0.01, gate.set)
        await lane.stop(10)
        assert len(upstream.messages) == 20
        assert upstream.stops_made == 1
        await lane.stop(10)
        assert upstream.stops_made == 1

    run(main())


def test_stop_keeps_its_time_and_counts_the_rest() -> None:
    async def main() -> None:
        upstream = TroubledUpstream(None, asyncio.Event())
        lane = Lane(upstream, delivery(queue=3))
        await lane.start()
        for message in messages(4):
            await lane.put(message)
        late = asyncio.ensure_future(lane.put(messages(5)[4]))
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        await lane.stop(0.05)
        assert loop.time() - begun_s < 2
        await late
        await lane.put(messages(6)[5])
        assert lane.statistics() == LaneStatistics("troubled", 6, 1, {"stopped": 5}, 0)
        assert upstream.stops_made == 1

    run(main())


def test_a_sender_that_is_cancelled_is_accounted_for() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        upstream = TroubledUpstream(gate)
        lane = Lane(upstream, delivery(queue=1))
        await lane.start()
        first, second = messages(2)
        await lane.put(first)
        waiting = asyncio.ensure_future(lane.put(second))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.set()
        await lane.stop(5)
        assert lane.statistics() == LaneStatistics("troubled", 2, 1, {"abandoned": 1}, 0)

    run(main())


def test_a_stop_that_hangs_or_raises_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    class Stuck(TroubledUpstream):
        async def stop(self) -> None:
            await asyncio.Event().wait()

    class Broken(TroubledUpstream):
        async def stop(self) -> None:
            raise ValueError("rtsp://user:secret@cam/")

    async def main() -> None:
        for upstream in (Stuck(name="stuck"), Broken(name="broken")):
            lane = Lane(upstream, delivery())
            await lane.start()
            await lane.stop(0.01)

    run(main())
    assert "upstream stuck did not stop: no answer within 0.5 s" in caplog.text
    assert "upstream broken did not stop: ValueError: rtsp://***@cam/" in caplog.text


def test_what_can_never_work_fails_the_start() -> None:
    async def main() -> None:
        for error in (ConfigurationError("no such folder"), NEVER, KeyError("bug")):
            lane = Lane(TroubledUpstream(starts=[error]), delivery())
            with pytest.raises((ConfigurationError, UpstreamError)):
                await lane.start()
            await lane.stop(1)

    run(main())


@pytest.mark.parametrize("hangs", [False, True])
def test_what_does_not_work_now_is_started_later(
    hangs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        trouble = asyncio.Event() if hangs else LATER
        starts = [trouble, LATER, ConfigurationError("in use")]
        upstream = TroubledUpstream(starts=starts)
        lane = Lane(upstream, delivery(attempt_timeout_s=0.05))
        await lane.start()
        assert lane.statistics().detail
        for message in messages(3):
            await lane.put(message)
        await upstream.wait_for(3)
        await lane.stop(5)
        assert upstream.starts_made == 4
        assert lane.statistics().lost == {}

    run(main())
    assert "(trying again)" in caplog.text


def test_a_bug_in_an_upstream_costs_one_message() -> None:
    async def main() -> None:
        upstream = TroubledUpstream(ZeroDivisionError("Password=x token=abc"))
        lane = Lane(upstream, delivery())
        await lane.start()
        for message in messages(2):
            await lane.put(message)
        await upstream.wait_for(1)
        await lane.stop(5)
        assert lane.statistics().lost == {"refused": 1}

    run(main())


def test_a_reader_that_leaves_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    async def main() -> None:
        gate = asyncio.Event()
        upstream = TroubledUpstream(None, gate, NEVER)
        lane = Lane(upstream, delivery(queue=3), on_gone=lambda: told.append("gone"))
        await lane.start()
        for message in messages(4):
            await lane.put(message)
        late = asyncio.ensure_future(lane.put(messages(5)[4]))
        await asyncio.sleep(0)
        upstream.troubles.appendleft(NEVER)
        upstream.left = True
        gate.set()
        await late
        await lane.put(messages(6)[5])
        await lane.stop(5)
        statistics = lane.statistics()
        assert statistics.sent == 2
        assert statistics.lost == {"gone": 4}
        assert balance(statistics)

    run(main())
    assert told == ["gone"]
    assert caplog.records == []


def test_nothing_is_unaccounted_for_whatever_happens() -> None:
    rng = random.Random(5)

    async def main() -> None:
        troubles = [rng.choice([None, None, LATER, NEVER, KeyError("x")]) for _ in range(300)]
        upstream = TroubledUpstream(*troubles)
        lane = Lane(upstream, delivery(queue=8, give_up_after_s=0.005))
        await lane.start()

        async def send(camera: str) -> None:
            for message in messages(50, camera):
                await lane.put(message)
                assert balance(lane.statistics())

        await asyncio.gather(*(send(camera) for camera in "abc"))
        await lane.stop(5)
        statistics = lane.statistics()
        assert (statistics.accepted, statistics.waiting) == (150, 0)
        assert statistics.sent == len(upstream.messages)
        for camera in "abc":
            arrived = [message.body["number"] for message in upstream.of(camera)]
            assert arrived == sorted(set(arrived))

    run(main())
