"""The queue from the worker thread to the event loop."""

from __future__ import annotations

import asyncio
import threading

from edgevision import Detections
from edgevision.result import Result
from edgevision.runner.ledger import Ledger
from edgevision.runner.outlet import Outlet
from edgevision.runner.spec import Policy


def result(sequence: int) -> Result:
    return Result("door", sequence, 0.0, (64, 48), Detections.empty())


def finished(count: int) -> Ledger:
    """A ledger that knows ``count`` results as waiting for delivery."""
    ledger = Ledger()
    for _ in range(count):
        ledger.capture()
        ledger.take()
        ledger.finish()
    return ledger


def test_latest_keeps_the_newest_results() -> None:
    async def scenario() -> None:
        ledger = finished(10)
        outlet = Outlet(asyncio.get_running_loop(), 3, "latest", ledger)
        for sequence in range(1, 11):
            outlet.put(result(sequence))
        outlet.close()
        got = []
        while (item := await outlet.get()) is not None:
            got.append(item.sequence)
        assert got == [8, 9, 10]
        assert ledger.snapshot().dropped == {"upstream": 7}

    asyncio.run(scenario())


def test_wait_holds_the_worker_until_there_is_room() -> None:
    async def scenario() -> None:
        outlet = Outlet(asyncio.get_running_loop(), 3, "wait", finished(50))
        put: list[int] = []

        def produce() -> None:
            for sequence in range(1, 51):
                outlet.put(result(sequence))
                put.append(sequence)

        thread = threading.Thread(target=produce)
        thread.start()
        got = []
        for _ in range(50):
            item = await outlet.get()
            assert item is not None
            got.append(item.sequence)
            assert len(put) - len(got) <= 4
        thread.join(5)
        assert got == list(range(1, 51))

    asyncio.run(scenario())


def test_closing_frees_a_waiting_worker_and_counts_what_is_lost() -> None:
    async def scenario(policy: Policy) -> None:
        ledger = finished(3)
        outlet = Outlet(asyncio.get_running_loop(), 1, policy, ledger)
        outlet.put(result(1))
        thread = threading.Thread(target=outlet.put, args=(result(2),))
        thread.start()
        outlet.close()
        thread.join(5)
        assert not thread.is_alive()
        outlet.discard()
        assert await outlet.get() is None
        assert sum(ledger.snapshot().dropped.values()) == 2

    asyncio.run(scenario("wait"))


def test_results_that_come_in_a_rush_all_arrive_in_order() -> None:
    async def scenario() -> None:
        ledger = Ledger()
        outlet = Outlet(asyncio.get_running_loop(), 4, "wait", ledger)

        def send() -> None:
            for number in range(1, 2001):
                ledger.capture()
                ledger.take()
                ledger.finish()
                outlet.put(result(number))
            asyncio.run_coroutine_threadsafe(close(), loop)

        async def close() -> None:
            outlet.close()

        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=send)
        thread.start()
        got = []
        while (item := await outlet.get()) is not None:
            got.append(item.sequence)
        thread.join()
        assert got == list(range(1, 2001))

    asyncio.run(scenario())
