"""Facts of platforms stand in platforms.yaml and nowhere else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from edgevision.deploy import platforms

ROOT = Path(__file__).resolve().parents[3]

FACTS = {
    "a device node of NVIDIA's": r"/dev/(nv|tegra_dc|host1x)[\w-]*",
    "a release of L4T": r"\b(32\.[1-7]|3[4-9]\.[0-9])\.[0-9]\b|\br(32\.[1-7]|3[4-9]\.[0-9])\b",
    "an architecture of a GPU": r"\bsm_[0-9]{2,3}\b|CUDA_ARCH_BIN[ =\"':]+[0-9]",
    "a version in a package's name": r"\b(cuda-[a-z]+-\d+-\d|libcudnn\d|libnvinfer\d|libnvvpi\d)",
    "a base image": r"\b(ubuntu:\d|nvidia/cuda:\d|l4t-\w+:r\d)",
    "a folder of a CUDA version": r"/usr/local/cuda-\d",
    "the name of a driver package": r"\bnvidia-l4t-(core|cuda|3d-core|multimedia|camera|nvml)\b",
}

# Where such a thing may stand all the same, and why.
ALLOWED = {
    "edgevision/deploy/platforms.yaml": "the table",
    "tests/": "a test says what it expects",
    "docs/": "examples, and what was measured on; its tables of platforms are made from the table",
    "module/": "made by edgevision new module from the table, and a test keeps it so",
    "edgevision/cuda/kernels/": "compiled: the oldest card that the kernels run on",
    "edgevision/cuda/probe.py": "an example in a docstring",
    "requirements/": "a lock",
    "samples/": "made for one device by its user",
    "docker/l4t/install_driver.sh": "asks which version of the core package was installed",
    "edgevision/deploy/platforms.py": "examples in docstrings, in the table's own reader",
    "edgevision/cli/application.py": "examples of the command line",
}


def _tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("needs a git checkout: git clone")
    return [Path(name) for name in done.stdout.split("\0") if name]


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    """Every tracked text file that must not hold such a fact."""
    found = {}
    for path in _tracked():
        if any(path.as_posix().startswith(place) for place in ALLOWED):
            continue
        data = (ROOT / path).read_bytes() if (ROOT / path).is_file() else b"\0"
        if b"\0" not in data[:8192]:
            found[path] = data.decode()
    return found


@pytest.mark.parametrize("what", FACTS)
def test_no_other_file_holds(what: str, texts: dict[Path, str]) -> None:
    pattern = re.compile(FACTS[what])
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"{what} belongs into platforms.yaml:\n" + "\n".join(found)


@pytest.mark.parametrize("what", FACTS)
def test_the_table_holds_what_the_rule_looks_for(what: str) -> None:
    # An architecture has another form there than in a compiler's option.
    if what == "an architecture of a GPU":
        assert re.search(FACTS[what], "nvcc -arch=sm_87")
        assert re.search(FACTS[what], 'CUDA_ARCH_BIN="8.7"')
        return
    assert re.search(FACTS[what], platforms.FILE.read_text())


def test_each_allowance_is_needed() -> None:
    tracked = [path.as_posix() for path in _tracked()]
    for place in ALLOWED:
        assert any(path.startswith(place) for path in tracked), f"{place} is gone"
