"""A process that is killed loses nothing whose publish had returned."""

from __future__ import annotations

from tests.benchmarks.harness_kill import kill_and_restart


def test_what_was_published_before_a_kill_arrives_after_it() -> None:
    outcome = kill_and_restart(3, seed=7, longest_s=0.3)
    assert outcome.noted > 100
    assert outcome.lost == []
