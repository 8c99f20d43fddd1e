"""The rules of tests/conftest.py, seen from tests that keep and break them."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests import needs

ROOT = Path(__file__).resolve().parents[2]

LEAKS = """
import socket, subprocess, sys, threading, warnings
import pytest

ended = threading.Event()
kept = []

def test_leaves_a_thread():
    thread = threading.Thread(target=ended.wait, name="forgotten", daemon=True)
    thread.start()

def test_is_not_blamed_for_an_earlier_one():
    ended.set()

def test_leaves_a_process():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_ends_the_process():
    kept[-1].communicate()

def test_leaves_an_orphan():
    code = "import os; os.fork() or os.execlp('sleep', 'sleep', '3')"
    subprocess.run([sys.executable, "-c", code])

def test_leaves_a_listening_socket():
    kept.append(socket.create_server(("127.0.0.1", 0)))

def test_closes_the_socket():
    kept[-1].close()

def test_forgets_to_close_a_file():
    open(__file__)

def test_warns():
    warnings.warn("old", DeprecationWarning)

def test_thread_raises():
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()

def test_cleans_up():
    thread = threading.Thread(target=ended.wait)
    thread.start()
    with socket.create_server(("127.0.0.1", 0)):
        subprocess.run([sys.executable, "-c", ""])
    ended.set()
    thread.join()

@pytest.fixture(scope="module")
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server

def test_uses_a_server_of_the_module(server):
    assert server

def test_uses_it_again(server):
    assert server
"""

SKIPS = """
import pytest

@pytest.mark.needs("camel")
def test_camel(): pass

@pytest.mark.needs("python")
def test_python(): pass

@pytest.mark.needs("another-python")
def test_another_python(): pass

@pytest.mark.skip(reason="just so")
def test_skip(): pass

@pytest.mark.xfail(reason="known", strict=True)
def test_known(): assert False

@pytest.mark.vm
def test_vm(): pass
"""

# The table of the names is the plugin's own; this adds to it before the tests run.
MORE_NEEDS = """
from tests import needs
needs.NEEDS["camel"] = needs.Need("a camel", "apt-get install camel", lambda: False)
needs.NEEDS["python"] = needs.Need("Python", "", lambda: True)
needs.NEEDS["another-python"] = needs.Need("another", "", lambda: False, required=False)
"""


def outcomes(folder: Path, text: str, *options: str) -> dict[str, str]:
    """Run tests under this project's rules; return "passed" or the message, by test name."""
    (folder / "conftest.py").write_text(MORE_NEEDS)
    (folder / "test_some.py").write_text(text)
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", f"--junitxml={report}"]
    config = ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *config, *options, str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode in (0, 1, 2), done.stdout + done.stderr
    found = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        problems = [f"{child.tag}: {child.get('message')} {child.text}" for child in case]
        found[case.get("name", "")] = "; ".join(problems) or "passed"
    return found


def test_what_outlives_a_test_is_blamed_on_it(tmp_path: Path) -> None:
    found = outcomes(tmp_path, LEAKS)
    assert "left behind: thread 'forgotten'" in found.pop("test_leaves_a_thread")
    assert "input()" in found.pop("test_leaves_a_process")
    assert "sleep 3" in found.pop("test_leaves_an_orphan")
    assert "socket listening on port" in found.pop("test_leaves_a_listening_socket")
    assert "ResourceWarning: unclosed file" in found.pop("test_forgets_to_close_a_file")
    assert "DeprecationWarning: old" in found.pop("test_warns")
    assert "ZeroDivisionError" in found.pop("test_thread_raises")
    assert len(found) == 6
    assert set(found.values()) == {"passed"}, found


def test_skips_say_how_to_get_what_is_missing(tmp_path: Path) -> None:
    found = outcomes(tmp_path, SKIPS)
    assert "skipped: needs a camel: apt-get install camel" in found.pop("test_camel")
    assert "needs a virtual machine: python3 dev.py test --vm" in found.pop("test_vm")
    assert "skipped: just so" in found.pop("test_skip")
    assert found.pop("test_python") == "passed"


def test_skips_can_be_forbidden(tmp_path: Path) -> None:
    found = outcomes(tmp_path, SKIPS, "--nothing-skipped")
    assert "skipped under --nothing-skipped: needs a camel" in found.pop("test_camel")
    assert "skipped under --nothing-skipped: just so" in found.pop("test_skip")
    assert found.pop("test_python") == "passed"
    assert found.pop("test_another_python").startswith("skipped")
    assert found.pop("test_vm").startswith("skipped")
    assert found.pop("test_known") == "skipped: known None"
    assert not found


def test_a_skipped_file_can_be_forbidden(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_one(): pass\n")
    text = "import pytest\npytest.skip('no reason', allow_module_level=True)\n"
    found = outcomes(tmp_path, text)
    assert found.pop("test_one") == "passed"
    assert "skipped: " in str(found)
    found = outcomes(tmp_path, text, "--nothing-skipped")
    assert "skipped under --nothing-skipped" in str(found)
    assert "error: collection failure" in str(found)


GPU = "import pytest\n@pytest.mark.gpu\ndef test_gpu(): pass\n"


def test_a_missing_gpu_is_a_skip_and_under_its_option_a_failure(tmp_path: Path) -> None:
    # An OpenCV without CUDA stands for a machine without a GPU, so that this runs on every machine.
    fake = "import sys, types\nsys.modules['cv2'] = types.ModuleType('cv2')\n"
    assert "skipped: needs a CUDA device" in outcomes(tmp_path, fake + GPU)["test_gpu"]
    assert "skipped: needs" in outcomes(tmp_path, fake + GPU, "--nothing-skipped")["test_gpu"]
    assert "--gpu was given, but" in outcomes(tmp_path, fake + GPU, "--gpu")["test_gpu"]


@pytest.mark.parametrize("name", needs.NEEDS)
def test_every_need_can_be_looked_for(name: str) -> None:
    reason = needs.missing(name)
    assert reason is None or reason.startswith("needs ")
