"""Each test of `guest_webcam`, run in a virtual machine with a real V4L2 driver.

One machine runs them all; here each is reported by its name. The first run fetches the kernel.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.vm import machine

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

GUEST = Path(__file__).with_name("guest_webcam.py")
TESTS = [
    line.removeprefix("def ").partition("(")[0]
    for line in GUEST.read_text().splitlines()
    if line.startswith("def test_")
]


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, list[str]]]:
    """Failures of each test in the machine, by its name; an empty list if it passed."""
    if reason := machine.missing():
        pytest.skip(reason)
    command = [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--noconftest", "-q"),
        *("--junitxml", "/tmp/out/junit.xml", "--basetemp", "/tmp/pytest", str(GUEST)),
    ]
    with machine.boot(command, timeout_s=400) as out:
        printed = (out / "output").read_text()
        sys.stdout.write(printed)
        report = out / "junit.xml"
        assert report.exists(), printed
        found: dict[str, list[str]] = {}
        for case in ElementTree.parse(report).iter("testcase"):
            name = case.get("name", "").partition("[")[0]
            said = [child.text or "" for child in case if child.tag in ("failure", "error")]
            said += [f"skipped: {child.get('message')}" for child in case if child.tag == "skipped"]
            found.setdefault(name, []).extend(said)
        yield found


@pytest.mark.parametrize("name", TESTS)
def test_in_the_machine(outcomes: dict[str, list[str]], name: str) -> None:
    assert name in outcomes, "it did not run; the machine's output is above"
    if outcomes[name]:
        pytest.fail("\n".join(outcomes[name]), pytrace=False)
