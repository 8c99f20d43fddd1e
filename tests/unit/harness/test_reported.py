"""Reported properties: within the limits, only what changed, and not too often."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgevision.harness.desired import merge
from edgevision.harness.reported import MAX_BYTES, Reporter, difference, encode_key, fit
from edgevision.harness.reported_facts import device_facts, image_facts
from edgevision.harness.transport import TransportError, TransportFault
from edgevision.testing.hub.twin import StoredTwin
from tests.unit.harness.pipelines import until

JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=30),
        st.just("x" * 5000),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_whatever_is_told_the_hub_takes_it(document: dict[str, Any]) -> None:
    fitted = fit(document)
    assert len(json.dumps(fitted, allow_nan=False).encode()) > 0
    # The stand-in refuses what IoT Hub refuses.
    twin = StoredTwin()
    twin.patch_reported({k: v for k, v in fitted.items() if v is not None})


def test_a_key_can_be_had_back_and_is_one_that_the_hub_takes() -> None:
    assert encode_key("door 1.a$b#c%") == "door%201%2Ea%24b%23c%25"
    assert encode_key("Tür-1_a") == "Tür-1_a"
    assert encode_key("") == "%"
    assert encode_key("a\x00\x9f") == "a%00%C2%9F"
    assert len(encode_key("x" * 2000).encode()) <= 256


def test_secrets_depth_and_odd_numbers() -> None:
    deep: Any = "end"
    for _ in range(12):
        deep = {"a": deep}
    fitted = fit({"s": "rtsp://u:hunter22@h/x", "n": math.nan, "i": 2**60, "deep": deep})
    assert fitted["s"] == "rtsp://***@h/x"
    assert (fitted["n"], fitted["i"]) == ("nan", str(2**60))
    text = json.dumps(fitted["deep"])
    assert "end" in text
    assert text.count("{") <= 12


def test_what_is_too_large_is_left_out_from_the_end_and_said() -> None:
    stages = {f"stage{n}": {"words": "w" * 900} for n in range(4)}
    cameras = {f"camera-{n}": {"state": "live", "stages": stages} for n in range(12)}
    fitted = fit({"desired": {"version": 3}, "cameras": cameras})
    assert len(json.dumps(fitted, separators=(",", ":"))) <= MAX_BYTES
    assert "more cameras or parameters" in fitted["truncated"]
    assert fitted["desired"] == {"version": 3}
    assert len(fitted["cameras"]) == 12
    assert "stages" in fitted["cameras"]["camera-0"]
    assert "stages" not in fitted["cameras"]["camera-11"]
    huge = {f"camera-{n}": {"state": "live" * 100} for n in range(500)}
    assert len(json.dumps(fit({"cameras": huge}), separators=(",", ":"))) <= MAX_BYTES


@given(st.dictionaries(st.text(max_size=3), JSON), st.dictionaries(st.text(max_size=3), JSON))
def test_a_difference_makes_one_of_the_other(before: Any, after: Any) -> None:
    before, after = fit(before), fit(after)
    patch = difference(before, after)
    assert _without_null(merge(before, patch)) == _without_null(after)
    assert difference(after, after) == {}


def _without_null(value: Any) -> Any:
    """A hub cannot hold null; lists it can."""
    if isinstance(value, dict):
        return {k: _without_null(v) for k, v in value.items() if v is not None}
    return value


class Hub:
    """Takes patches, or refuses them."""

    def __init__(self) -> None:
        self.patches: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.fault: TransportFault | None = None
        self.calls = 0

    async def send(self, patch: Mapping[str, Any]) -> None:
        self.calls += 1
        if self.fault is not None:
            raise TransportError("not now", self.fault)
        if any(key in patch for key in self.refused):
            raise TransportError("400", "refused")
        self.patches.append(dict(patch))


def reporter(hub: Hub, document: dict[str, Any], **options: Any) -> Reporter:
    options = {"interval_s": 0.05, "refresh_s": 60.0, **options}
    return Reporter(lambda: document, hub.send, **options)


def test_only_what_changed_is_sent_and_what_is_gone_is_deleted() -> None:
    async def scenario() -> None:
        hub, document = Hub(), {"cameras": {"a": {"fps": 1}, "b": {"fps": 2}}}
        own = reporter(hub, document)
        own.start()
        own.changed()
        own.take_twin(
            {"$version": 3, "cameras": {"a": {"fps": 1}, "gone": {"fps": 9}}, "others": 5}
        )
        await until(lambda: bool(hub.patches), "a patch")
        assert hub.patches == [{"cameras": {"b": {"fps": 2}, "gone": None}}]
        document["cameras"]["a"]["fps"] = 7
        own.changed()
        await until(lambda: len(hub.patches) == 2, "another")
        assert hub.patches[1] == {"cameras": {"a": {"fps": 7}}}
        del document["cameras"]["a"]
        await own.stop()
        assert hub.patches[2] == {"cameras": {"a": None}}
        assert own.patches == 3

    asyncio.run(scenario())


def test_many_changes_become_few_patches_and_urgent_ones_do_not_wait() -> None:
    async def scenario() -> None:
        hub, document = Hub(), {"log_level": 0}
        own = reporter(hub, document, interval_s=3600.0)
        own.start()
        own.take_twin({})
        await until(lambda: len(hub.patches) == 1, "the first")
        for count in range(1, 100):
            document["log_level"] = count
            own.changed()
            await asyncio.sleep(0)
        assert len(hub.patches) == 1
        own.changed(urgent=True)
        await until(lambda: len(hub.patches) == 2, "the urgent one")
        assert hub.patches[1] == {"log_level": 99}
        await own.stop()

    asyncio.run(scenario())


def test_a_refused_part_is_left_out_until_it_changes() -> None:
    async def scenario() -> None:
        hub, document = Hub(), {"device": {"a": 1}, "image": {"b": 1}}
        hub.refused = ["image"]
        own = reporter(hub, document)
        own.start()
        own.take_twin({})
        await until(lambda: hub.patches == [{"device": {"a": 1}}], "the good part")
        document["device"]["a"] = 2
        own.changed()
        await until(lambda: hub.patches[1:] == [{"device": {"a": 2}}], "the next")
        hub.refused = []
        document["image"]["b"] = 2
        own.changed()
        await until(lambda: hub.patches[2:] == [{"image": {"b": 2}}], "it is told again")
        await own.stop()

    asyncio.run(scenario())


def test_after_an_outage_the_hub_s_own_copy_counts() -> None:
    async def scenario() -> None:
        hub, document = Hub(), {"device": {"a": 1}}
        hub.fault = "uncertain"
        own = reporter(hub, document)
        own.start()
        own.take_twin({})
        await until(lambda: hub.calls == 1, "an attempt")
        hub.fault = None
        own.take_twin({"device": {"a": 0, "b": 1}})
        await until(lambda: hub.patches == [{"device": {"a": 1, "b": None}}], "the difference")
        await own.stop()

    asyncio.run(scenario())


def test_facts() -> None:
    facts = device_facts()
    assert {"edgevision", "python", "opencv", "arch", "cpus", "cuda"} <= facts.keys()
    labels = {"EDGEVISION_IMAGE_REVISION": "abc", "EDGEVISION_IMAGE_EMPTY": "", "HOME": "/"}
    assert image_facts(labels) == {"revision": "abc"}
