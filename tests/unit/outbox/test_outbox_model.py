"""The outbox against a model of it: lists of numbers by camera."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from edgevision.upstream.outbox.batch import Batching
from edgevision.upstream.outbox.bounds import Bounds
from edgevision.upstream.outbox.keeper import Keeper
from edgevision.upstream.outbox.packet import StoredPacket
from tests.unit.outbox.outbox_bed import LIMIT, MAX_WIRE_BYTES, documents, message

CAMERAS = st.sampled_from(["door", "till", "Tür"])


class OutboxModel(RuleBasedStateMachine):
    packets = Bundle("packets")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock_s = 100.0
        self.waiting: dict[str, list[int]] = {}
        self.handed_out: dict[tuple[str, int], StoredPacket] = {}
        self.seen: dict[tuple[str, int], bytes] = {}
        self.number = 0
        self.keeper = self.make()

    def make(self) -> Keeper:
        keeper = Keeper(
            Bounds(
                Path(self.folder.name) / "outbox.db",
                2**23,
                1e6,
                "block",
                False,
                Batching(4, max_bytes=900, linger_s=5.0),
                MAX_WIRE_BYTES,
                1,
            ),
            monotonic=lambda: self.clock_s,
            wall=lambda: 1.78e9 + self.clock_s,
        )
        keeper.open()
        return keeper

    @rule(
        camera=CAMERAS,
        count=st.integers(1, 6),
        output=st.sampled_from(["results", "alarms"]),
        size=st.integers(0, 600),
    )
    def add(self, camera: str, count: int, output: str, size: int) -> None:
        fresh = []
        for _ in range(count):
            self.number += 1
            fresh.append(message(self.number, camera, output=output, text="x" * size))
        outcomes = self.keeper.add([(one, LIMIT.overhead(one)) for one in fresh])
        assert outcomes == ["stored"] * count
        self.waiting.setdefault(camera, []).extend(range(self.number - count + 1, self.number + 1))

    @rule(camera=CAMERAS, position=st.integers(0, 100))
    def add_again(self, camera: str, position: int) -> None:
        stored = self.waiting.get(camera, [])
        if stored:
            one = message(stored[position % len(stored)], camera)
            assert self.keeper.add([(one, LIMIT.overhead(one))]) == ["duplicate"]

    @rule(target=packets, limit=st.integers(1, 5), flush=st.booleans())
    def take(self, limit: int, flush: bool) -> object:
        taken = self.keeper.take(limit, flush=flush)
        assert len(taken.packets) <= limit
        for packet in taken.packets:
            assert packet.key not in self.handed_out
            known = self.seen.setdefault(packet.key, packet.body)
            assert known == packet.body  # the same bytes whenever it is handed out
            self.handed_out[packet.key] = packet
            bodies = documents(packet)
            assert len({(body["camera"], body["output"]) for body in bodies}) == 1
            assert len(bodies) == packet.count <= 4
            assert len(packet.packet().payload) <= 900 or packet.count == 1
            numbers = [body["number"] for body in bodies]
            begin = self.waiting[packet.camera].index(numbers[0])
            assert self.waiting[packet.camera][begin : begin + len(numbers)] == numbers
        return multiple(*taken.packets)

    @rule(packet=consumes(packets))
    def finish(self, packet: StoredPacket) -> None:
        if self.handed_out.pop(packet.key, None) is not None:
            self.keeper.done(packet)
            gone = {body["number"] for body in documents(packet)}
            self.waiting[packet.camera] = [
                number for number in self.waiting[packet.camera] if number not in gone
            ]

    @rule(packet=consumes(packets))
    def split(self, packet: StoredPacket) -> None:
        if packet.key in self.handed_out:
            self.keeper.split(packet)
            for key in [key for key in self.handed_out if key[0] == packet.camera]:
                if key[1] >= packet.number:
                    del self.handed_out[key]
            self.seen.pop(packet.key)

    @rule(seconds=st.floats(0, 10))
    def pass_time(self, seconds: float) -> None:
        self.clock_s += seconds

    @rule()
    def settle(self) -> None:
        self.keeper.settle()
        assert self.keeper.removals == 0

    @rule()
    def rewind(self) -> None:
        self.keeper.rewind()
        self.handed_out.clear()

    @rule(properly=st.booleans())
    def restart(self, properly: bool) -> None:
        self.keeper.settle()  # what was not deleted yet would come back
        if properly:
            self.keeper.close()
        else:
            self.keeper.abandon()
        self.keeper = self.make()
        self.handed_out.clear()

    @invariant()
    def everything_is_counted(self) -> None:
        counted = self.keeper.statistics()
        assert counted.waiting == sum(map(len, self.waiting.values()))

    def teardown(self) -> None:
        self.keeper.rewind()
        found: dict[str, list[int]] = {}
        while packets := self.keeper.take(50, flush=True).packets:
            for packet in packets:
                found.setdefault(packet.camera, []).extend(
                    body["number"] for body in documents(packet)
                )
        self.keeper.close()
        self.folder.cleanup()
        assert found == {camera: left for camera, left in self.waiting.items() if left}


OutboxModel.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestOutboxModel = OutboxModel.TestCase
