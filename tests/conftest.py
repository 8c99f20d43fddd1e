"""Options, markers and rules that hold for every test."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from tests import needs
from tests.leaks import Held, adopt_orphans, left_behind

_GPU_FOLDER = Path(__file__).parent / "gpu"

# A test asserts no speed, least of all on a busy machine.
settings.register_profile("edgevision", deadline=None)
settings.load_profile("edgevision")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("edgevision")
    group.addoption("--gpu", action="store_true", help="a missing CUDA device is a failure")
    group.addoption("--vm", action="store_true", help="run the tests that start a virtual machine")
    group.addoption("--images", action="store_true", help="run the tests that build images")
    group.addoption(
        "--nothing-skipped",
        action="store_true",
        help="a skipped test is a failure, unless it needs a GPU, --vm, --images or another OpenCV",
    )


def pytest_configure() -> None:
    adopt_orphans()
    # A shell's background job ignores Ctrl-C, and so would every command that a test starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _GPU_FOLDER in item.path.parents:
            item.add_marker(pytest.mark.gpu)


def pytest_collection_finish() -> None:
    # What the imports made stays for good. Frozen, it does not slow the collection after each test.
    gc.collect()
    gc.freeze()


@cache
def _gpu_missing() -> str | None:
    """Return why no GPU test can run, or None."""
    import cv2

    if not hasattr(cv2, "cuda") or not hasattr(cv2.cuda, "getCudaEnabledDeviceCount"):
        return "needs a CUDA device: this OpenCV is built without CUDA"
    if cv2.cuda.getCudaEnabledDeviceCount() < 1:
        return "needs a CUDA device: none here, or OpenCV is built without CUDA"
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("vm") and not item.config.getoption("--vm"):
        pytest.skip("needs a virtual machine: python3 dev.py test --vm")
    if item.get_closest_marker("images") and not item.config.getoption("--images"):
        pytest.skip("needs minutes to build images: python3 dev.py test --images tests/docker")
    if item.get_closest_marker("gpu"):
        reason = _gpu_missing()
        if reason and item.config.getoption("--gpu"):
            pytest.fail(f"--gpu was given, but the test {reason}", pytrace=False)
        if reason:
            pytest.skip(reason)
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if reason := needs.missing(name):
                pytest.skip(reason)


def _may_be_skipped(item: pytest.Item) -> bool:
    names = [name for mark in item.iter_markers("needs") for name in mark.args]
    return (
        item.get_closest_marker("gpu") is not None
        or item.get_closest_marker("vm") is not None
        or item.get_closest_marker("images") is not None
        or any(not needs.NEEDS[name].required and needs.missing(name) for name in names)
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and item.config.getoption("--nothing-skipped") and not _may_be_skipped(item):
        report.outcome = "failed"
        report.longrepr = f"skipped under --nothing-skipped: {call.excinfo and call.excinfo.value}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and collector.config.getoption("--nothing-skipped"):
        report.outcome = "failed"
        report.longrepr = f"skipped under --nothing-skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="module", autouse=True)
def a_small_heap() -> Iterator[None]:
    """Keep what a module's tests imported out of the collection after each later test."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Take away the log handlers that a command run in this process leaves: their file is gone."""
    root, ours = logging.getLogger(), logging.getLogger("edgevision")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or a listening socket behind."""
    before = Held.now()
    yield
    gc.collect()  # an unclosed file or socket warns now, and a warning is an error
    found = left_behind(before)
    if found:
        pytest.fail("the test left behind: " + "; ".join(found), pytrace=False)
