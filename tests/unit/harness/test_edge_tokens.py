"""Tokens are renewed in time, and a fault of signing is no lasting harm."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from edgevision.harness.transport import MethodAnswer, MethodCall
from edgevision.testing.hub import HubStandIn
from tests.unit.harness.edge_bed import (
    QUICK,
    Recorder,
    deliver,
    limit,
    off_loop,
    packet,
    supervised,
)


async def test_tokens_are_renewed_in_time_without_loss_or_repetition() -> None:
    recorder = Recorder()
    brief = replace(QUICK, token_life_s=4.0, renew_before_s=2.5)
    with HubStandIn() as hub:
        async with supervised(hub, recorder, brief) as supervisor, limit():
            number = 0
            while supervisor.status().lost.get("token", 0) < 2:
                number += 1
                await supervisor.send(packet(number))
            assert set(supervisor.status().lost) == {"token"}
        assert [message.id for message in hub.messages] == [f"m{n}" for n in range(1, number + 1)]
        assert not [event for event in hub.events if event.kind == "refused"]


async def test_a_failure_to_sign_is_not_the_end_of_renewal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The SDK tries once; after one failure the token runs out and the module is off."""
    recorder = Recorder()
    brief = replace(QUICK, token_life_s=5.0, renew_before_s=3.5)
    with HubStandIn() as hub:
        async with supervised(hub, recorder, brief) as supervisor, limit():
            await deliver(supervisor, packet(1))
            hub.workload.sign_status = 500
            while "cannot be renewed" not in caplog.text:
                await supervisor.send(packet(2))
                await asyncio.sleep(0.01)
            hub.workload.sign_status = 200
            await recorder.until(lambda: len(recorder.twins) == 2)
            assert supervisor.status().lost == {"token": 1}


async def test_a_slow_signature_does_not_hold_up_messages() -> None:
    """In the SDK it does, for as long as it takes: there is no limit, and one thread for all."""
    recorder = Recorder()
    brief = replace(QUICK, token_life_s=6.0, renew_before_s=3.5)
    with HubStandIn() as hub:
        async with supervised(hub, recorder, brief) as supervisor, limit():
            await deliver(supervisor, packet(1))
            hub.workload.sign_delay_s = 1.0
            longest_s = 0.0
            while not supervisor.status().lost:
                began_s = time.monotonic()
                await supervisor.send(packet(2))
                longest_s = max(longest_s, time.monotonic() - began_s)
            assert longest_s < 0.9
            assert supervisor.status().lost == {"token": 1}


async def test_a_token_that_runs_out_is_replaced_once_it_can_be() -> None:
    recorder = Recorder()
    brief = replace(QUICK, token_life_s=3.0, renew_before_s=1.5)
    with HubStandIn() as hub:
        async with supervised(hub, recorder, brief) as supervisor:
            async with limit():
                await deliver(supervisor, packet(1))
            hub.workload.sign_status = 503
            await recorder.until(lambda: False in recorder.connection)
            await off_loop(hub.wait_for, lambda _: supervisor.status().failures)
            assert "503" in supervisor.status().last_error
            hub.workload.sign_status = 200
            async with limit():
                await deliver(supervisor, packet(2))
        assert supervisor.status().failures.keys() == {"offline"}


async def test_a_token_that_the_hub_no_longer_takes_is_not_shown_again() -> None:
    """A token lasts an hour, and the module would be off for as long."""
    recorder = Recorder()
    with HubStandIn() as hub:
        async with supervised(hub, recorder) as supervisor, limit():
            await deliver(supervisor, packet(1))
            identity = hub.identities.find("edge-device/edgevision")
            assert identity is not None
            identity.key = bytes(32)
            await off_loop(hub.restart)
            await deliver(supervisor, packet(2))
            assert supervisor.status().failures["unauthorized"] == 1


async def test_a_method_that_is_worked_at_is_answered_before_the_token_changes() -> None:
    recorder = Recorder()
    gate = asyncio.Event()

    async def answer(call: MethodCall) -> MethodAnswer:
        await gate.wait()
        return MethodAnswer(200, "done")

    recorder.answer = answer
    brief = replace(QUICK, token_life_s=4.0, renew_before_s=2.9, method_timeout_s=10.0)
    with HubStandIn() as hub:
        async with supervised(hub, recorder, brief) as supervisor, limit():
            await deliver(supervisor, packet(1))
            calling = asyncio.ensure_future(off_loop(hub.module().call, "slow"))
            await recorder.until(lambda: "method slow" in recorder.order)
            while hub.workload.signed < 2:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.01)
            # The new token is there, and the client stays.
            await asyncio.sleep(0.1)
            assert recorder.connection == [True]
            gate.set()
            assert (await calling).payload == "done"
            await recorder.until(lambda: len(recorder.twins) == 2)
            assert supervisor.status().lost == {"token": 1}
