"""When the process counts as working, and when as ready."""

from __future__ import annotations

from edgevision.status import CameraState, CameraStatus, RunnerStatus
from edgevision.web.health import health, readiness


def status(*states: CameraState, stuck: str = "") -> RunnerStatus:
    cameras = [
        CameraStatus(f"c{i}", state=state, detail="no answer", stuck_stage=stuck)
        for i, state in enumerate(states)
    ]
    return RunnerStatus("gate", 0.0, cameras)


def test_an_unreachable_camera_is_no_reason_to_restart() -> None:
    assert health(status("backing off")) == []
    assert readiness(status("backing off")) == ["camera 'c0' is backing off: no answer"]


def test_one_failed_camera_of_two_is_no_reason_to_restart() -> None:
    assert health(status("failed", "live")) == []
    assert readiness(status("failed", "live")) == []


def test_all_cameras_failed() -> None:
    reasons = health(status("failed", "failed"))
    assert reasons == ["camera 'c0' has failed: no answer", "camera 'c1' has failed: no answer"]
    assert readiness(status("failed"))


def test_a_stuck_stage_is_named_though_the_camera_is_live() -> None:
    assert health(status("live", stuck="people")) == ["camera 'c0': stage 'people' does not return"]


def test_no_camera_works_and_is_not_ready() -> None:
    assert health(status()) == []
    assert readiness(status()) == ["no camera is configured"]


def test_a_file_that_was_read_to_its_end_is_ready() -> None:
    assert readiness(status("ended")) == []
