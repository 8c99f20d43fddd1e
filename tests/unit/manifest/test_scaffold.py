"""A new module's folder: what is in it, and that it does what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from edgevision.cli.application import run
from edgevision.config import load
from edgevision.deploy.manifest.check import check_manifest
from edgevision.deploy.scaffold import module_files

ROOT = Path(__file__).parents[3]
EDGEVISION = [sys.executable, "-m", "edgevision"]


def test_the_repositorys_module_is_such_a_folder() -> None:
    for path, text in module_files("module", "orin-r36").items():
        assert (ROOT / "module" / path).read_text("utf-8") == text, (
            f"module/{path} differs from what `edgevision new module module` writes"
        )


def test_three_commands_from_nothing_to_messages(tmp_path: Path) -> None:
    def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*EDGEVISION, *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    command("new", "module", "people", folder=tmp_path)
    done = command("simulate", "--duration-s", "12", "--json", folder=tmp_path / "people")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    messages = [line for line in lines if line["type"] == "message"]
    assert messages
    assert {message["output"] for message in messages} >= {"results"}
    assert "next: edgevision build" in done.stderr


def test_its_own_tests_pass(tmp_path: Path) -> None:
    assert run(["new", "module", "people", "--folder", str(tmp_path), "--text"]) == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "people",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_files_are_sound(tmp_path: Path) -> None:
    assert run(["new", "module", "people", "--folder", str(tmp_path), "--text"]) == 0
    folder = tmp_path / "people"
    assert load(folder / "pipeline.yaml", environment={}).module == "people"
    template = json.loads((folder / "deployment.template.json").read_text())
    assert check_manifest(template) == []
    described = json.loads((folder / "module.json").read_text())
    assert described["image"]["repository"] == "${CONTAINER_REGISTRY}/people"
    assert all("@name@" not in path.read_text() for path in folder.rglob("*") if path.is_file())


def test_it_makes_a_manifest_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "module", "people", "--folder", str(tmp_path), "--text"]) == 0
    for line in (tmp_path / "people" / ".env.example").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            monkeypatch.setenv(line.partition("=")[0], "registry.example/x:1")
    monkeypatch.setenv("CONTAINER_REGISTRY", "registry.example")
    capfd.readouterr()
    out = tmp_path / "deployment.json"
    words = ["manifest", str(tmp_path / "people"), "--platform", "orin-r36", "--text"]
    assert run([*words, "--out", str(out)]) == 0
    assert "next: az iot edge set-modules" in capfd.readouterr()[1]
    assert run(["manifest", "--check", str(out), "--platform", "orin-r36", "--text"]) == 0


def test_builders_that_know_nothing_of_edgevision_can_build_it() -> None:
    files = {str(path): text for path, text in module_files("people", "orin-r36").items()}
    # Without BuildKit there are neither mounts nor named contexts.
    assert "--mount" not in files["Dockerfile"]
    options = json.loads(files["module.json"])["image"]["buildOptions"]
    assert options == ["--build-arg=BASE_IMAGE=${BASE_IMAGE}"]
    assert "ARG BASE_IMAGE\n" in files["Dockerfile"]
    given = {line.partition("=")[0] for line in files[".env.example"].splitlines()}
    texts = files["module.json"] + files["deployment.yaml"] + files["deployment.template.json"]
    for name in re.findall(r"\$\{?([A-Z][A-Z_]+)(?![A-Za-z_.<])\}?", texts):
        assert name in given | {"NAME", "CAMERA"}, f"{name} is not in .env.example"


@pytest.mark.parametrize("name", ["a/b", "People", "1x", "", "a" * 64, "../x"])
def test_a_name_that_cannot_be(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "module", name, "--folder", str(tmp_path), "--text"]) == 2
    assert "a module cannot be called" in capfd.readouterr()[1]
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "people").mkdir()
    assert run(["new", "module", "people", "--folder", str(tmp_path), "--text"]) == 2
    assert "is there already" in capfd.readouterr()[1]
    assert not list((tmp_path / "people").iterdir())


def test_a_platform_that_is_none(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = ["new", "module", "people", "--folder", str(tmp_path), "--platform", "orin-r37"]
    assert run([*line, "--text"]) == 2
    assert "no such platform: 'orin-r37'" in capfd.readouterr()[1]
    assert not list(tmp_path.iterdir())


def test_every_file_has_one_place() -> None:
    files = module_files("people", "orin-r36")
    assert PurePosixPath("Dockerfile") in files
    assert PurePosixPath(".github/workflows/test.yml") in files
