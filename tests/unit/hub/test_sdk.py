"""The unmodified azure-iot-device against the stand-in."""

from __future__ import annotations

import pytest

from edgevision.testing.hub import HubStandIn, MethodResult
from tests.unit.hub.child import SdkModule

EVERYTHING = """
await client.connect()
say(twin=await client.get_twin())
loop = asyncio.get_running_loop()
got = asyncio.Queue()

def note(**fields):
    loop.call_soon_threadsafe(got.put_nowait, fields)

async def answer(request):
    response = MethodResponse.create_from_method_request(request, 201, {"echo": request.payload})
    await client.send_method_response(response)

def set_handlers():
    client.on_twin_desired_properties_patch_received = lambda patch: note(patch=patch)
    client.on_method_request_received = answer
    client.on_message_received = lambda m: note(
        input=m.input_name, body=m.data.decode(), properties=m.custom_properties,
        kind=m.content_type, id=m.message_id,
    )

await asyncio.to_thread(set_handlers)
message = Message(b'{"a": 1}', message_id="m-1", content_type="application/json")
message.content_encoding = "utf-8"
message.custom_properties = {"gr\\u00f6\\u00dfe &=/": "sch\\u00f6n + viel"}
await client.send_message_to_output(message, "an output")
await client.patch_twin_reported_properties({"state": {"cameras": 2}, "gone": 1})
await client.patch_twin_reported_properties({"gone": None})
say(ready=True)
for _ in range(2):
    say(got=await got.get())
"""


def test_telemetry_twin_methods_and_inputs() -> None:
    with HubStandIn() as hub:
        door = hub.module("door")
        door.patch_desired({"rate": {"fps": 5}})
        with SdkModule(hub.environment(module="door"), EVERYTHING) as module:
            twin = module.heard()["twin"]
            assert twin == {
                "desired": {"rate": {"fps": 5}, "$version": 2},
                "reported": {"$version": 1},
            }
            assert module.heard() == {"ready": True}
            (message,) = hub.wait_for_messages(1)
            assert (message.id, message.output, message.json()) == ("m-1", "an output", {"a": 1})
            assert message.properties == {"größe &=/": "schön + viel"}
            assert message.content_type == "application/json"
            assert message.content_encoding == "utf-8"
            assert (message.device, message.module, message.dup) == ("edge-device", "door", False)
            assert door.reported == {"state": {"cameras": 2}, "$version": 3}
            assert door.call("take / picture", {"q": 90}) == MethodResult(201, {"echo": {"q": 90}})
            assert door.call("nothing") == MethodResult(201, {"echo": None})
            door.patch_desired({"rate": None, "mode": "day"})
            patch = {"rate": None, "mode": "day", "$version": 3}
            assert module.heard() == {"got": {"patch": patch}}
            assert door.desired == {"mode": "day", "$version": 3}
            door.send_input("from elsewhere", {"boxes": 3}, {"$.mid": "7", "zone": "a/b"})
            assert module.heard()["got"] == {
                "input": "from elsewhere",
                "body": '{"boxes": 3}',
                "properties": {"zone": "a/b"},
                "kind": "application/json",
                "id": "7",
            }
            assert module.end() == 0
        hub.wait_for(lambda _: not door.connected)


RENEWING = """
await client.connect()
say(connected=True)
count = 0
stop = asyncio.create_task(told())
while not stop.done():
    count += 1
    await client.send_message(Message(b"x", message_id=str(count)))
    await asyncio.sleep(0.02)
say(sent=count)
"""


@pytest.mark.timeout(60)
def test_a_token_is_renewed_before_it_expires() -> None:
    with HubStandIn() as hub:
        environment = hub.environment()
        # The SDK renews 120 s before the end, so this is every 2 s.
        with SdkModule(environment, RENEWING, sastoken_ttl=122) as module:
            assert module.heard() == {"connected": True}

            def connects(hub: HubStandIn) -> int:
                return sum(event.kind == "connected" for event in hub.events)

            hub.wait_for(lambda hub: connects(hub) >= 3, 30)
            module.tell(stop=True)
            sent = module.heard()["sent"]
            assert module.end() == 0
        assert hub.workload.signed >= 3
        ids = [message.id for message in hub.messages]
        assert set(ids) == {str(number) for number in range(1, sent + 1)}
