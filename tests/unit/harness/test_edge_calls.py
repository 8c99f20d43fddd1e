"""No call of azure-iot-device hangs, and nothing of a client stays behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from edgevision.harness.transport import MethodAnswer, MethodCall, TransportError
from edgevision.testing.hub import HubStandIn
from tests.unit.harness.edge_bed import (
    QUICK,
    Recorder,
    limit,
    off_loop,
    opened,
    packet,
)


async def test_a_hub_that_does_not_answer_for_the_twin_does_not_hang_the_opening() -> None:
    with HubStandIn() as hub:
        hub.faults.twin = "silent"
        with pytest.raises(TransportError, match="module twin: no answer in time"):
            async with limit(), opened(hub):
                raise AssertionError


async def test_a_hub_that_does_not_answer_a_connect_does_not_hang_the_next_client() -> None:
    """The SDK waits 60 s for the answer, and its shutdown for the end of that wait."""
    with HubStandIn() as hub:
        hub.faults.silent_connect = True
        hasty = replace(QUICK, open_timeout_s=1.0)
        with pytest.raises(TransportError, match="no answer in time"):
            async with limit(), opened(hub, hasty):
                raise AssertionError
        hub.faults.silent_connect = False
        async with limit(5), opened(hub) as transport:
            await transport.send(packet(1))


async def test_a_call_that_is_under_way_when_the_client_is_closed_fails() -> None:
    """As a cancellation, which is how the SDK's loop ends it, it would end the caller's task."""
    with HubStandIn() as hub:
        async with opened(hub) as transport, limit():
            hub.faults.twin = "silent"
            calls = [
                asyncio.ensure_future(transport.twin()),
                asyncio.ensure_future(transport.report({"a": 1})),
            ]
            await asyncio.sleep(0.1)
            await transport.close()
            results = await asyncio.gather(*calls, return_exceptions=True)
    assert [getattr(error, "fault", error) for error in results] == ["uncertain", "uncertain"]


async def test_a_call_whose_caller_is_cancelled_is_cancelled() -> None:
    with HubStandIn() as hub:
        async with opened(hub) as transport, limit():
            hub.faults.twin = "silent"
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(transport.twin(), 0.1)
            hub.faults.twin = "answer"
            assert (await transport.twin()).version == 1


async def test_a_method_goes_on_to_its_end_when_the_connection_drops() -> None:
    recorder = Recorder()
    gate = asyncio.Event()
    ended = asyncio.Event()

    async def answer(call: MethodCall) -> MethodAnswer:
        await gate.wait()
        ended.set()
        return MethodAnswer(200, "done")

    recorder.answer = answer
    patient = replace(QUICK, method_timeout_s=10.0)
    with HubStandIn() as hub:
        async with opened(hub, patient, recorder) as transport, limit():
            calling = asyncio.ensure_future(off_loop(hub.module().call, "slow", None, 1.0))
            await recorder.until(lambda: "method slow" in recorder.order)
            await off_loop(hub.end_connections)
            await transport.lost()
            await transport.close()
            gate.set()
            await ended.wait()
            assert (await calling).status == 504


async def test_many_clients_leave_no_threads_behind() -> None:
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            await transport.send(packet(0))
        before = set(threading.enumerate())
        for number in range(1, 11):
            async with opened(hub) as transport:
                await transport.send(packet(number))
                if number % 2:
                    await off_loop(hub.end_connections)
                    await transport.lost()
        left = {
            thread
            for thread in threading.enumerate()
            # The loop's own executor grows; what was told to end may take a moment.
            if thread not in before and not thread.name.startswith("asyncio_")
        }
        for thread in left:
            thread.join(5)
    assert not any(thread.is_alive() for thread in left), left


_HANGING = """
import asyncio, sys, threading
from dataclasses import replace

from azure.iot.device.common.pipeline import pipeline_thread

from edgevision.harness.transport import TransportError
from edgevision.testing.hub import HubStandIn
from tests.unit.harness.edge_bed import QUICK, opened, packet


async def main(hub):
    async with opened(hub) as transport:
        await transport.send(packet(1))
    # The one thread that all clients share.
    pipeline_thread._executors["pipeline"].submit(threading.Event().wait)
    try:
        async with opened(hub, replace(QUICK, open_timeout_s=0.5)):
            print("opened")
    except TransportError as error:
        print(error.fault)


with HubStandIn() as hub:
    asyncio.run(main(hub))
print("ending", flush=True)
sys.exit(3)
"""


def test_a_process_ends_although_the_sdk_hangs_in_it() -> None:
    """Otherwise a module that has given up would stay, and edgeAgent would not start it anew."""
    done = subprocess.run(
        [sys.executable, "-c", _HANGING], capture_output=True, text=True, timeout=30
    )
    assert done.stdout.split() == ["uncertain", "ending"], done.stderr
    assert done.returncode == 3
