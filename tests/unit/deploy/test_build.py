"""edgevision build: what it shows, what it refuses, and what it does with an engine."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shlex
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from edgevision.cli.application import run
from edgevision.deploy import engine, files, platforms
from edgevision.deploy.facts import Download
from edgevision.deploy.plan import make_plan
from edgevision.errors import ConfigurationError, EdgeVisionError

# Answers as Docker does, and notes what it was asked. What it lacks is a line of its own file.
DOCKER = """#!/usr/bin/env python3
import json, os, sys
from pathlib import Path
here = Path(__file__).parent
words = sys.argv[1:]
lacks = (here / "lacks").read_text().split() if (here / "lacks").exists() else []
with (here / "asked").open("a") as file:
    file.write(json.dumps(words) + "\\n")
if "buildx" in words[:1] and "buildx" in lacks:
    sys.exit("docker: unknown command: docker buildx")
if words[0] == "info" and "engine" in lacks:
    sys.exit("Cannot connect to the Docker daemon")
if words[:2] == ["info", "--format"]:
    print(here if "Root" in words[2] else "27.5.1")
elif words[:2] == ["buildx", "inspect"]:
    print("Name: default\\nPlatforms: linux/amd64, linux/386" +
          ("" if "qemu" in lacks else ", linux/arm64*"))
elif words[:2] == ["buildx", "bake"] and "--help" in words:
    print("--allow stringArray")
elif words[:2] == ["buildx", "bake"]:
    (here / "bake.json").write_text(Path(words[words.index("--file") + 1]).read_text())
    (here / "url").write_text(os.environ.get("JETSON_APT_URL", ""))
    sys.exit(1 if "success" in lacks else 0)
"""


class Docker(NamedTuple):
    """A stand-in of the docker command."""

    folder: Path

    def lacks(self, *what: str) -> None:
        (self.folder / "lacks").write_text(" ".join(what))

    def asked(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "asked").read_text().splitlines()]


class Told(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str


Command = Callable[..., Told]


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("JETSON_APT_URL", "")

    def command(*words: str) -> Told:
        status = run(["build", *words])
        told = capsys.readouterr()
        return Told(status, told.out, told.err)

    # The command sets up the logging of its process, which is that of the tests here.
    loggers = (logging.getLogger(), logging.getLogger("edgevision"))
    before = [(list(logger.handlers), logger.level) for logger in loggers]
    yield command
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(DOCKER)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(engine, "space_needed_mb", lambda plan: 0)
    return Docker(folder)


def test_the_dry_run_shows_commands_for_every_row(command: Command) -> None:
    told = command("--platform", "all", "--dry-run", "--text")
    assert told.status == 0
    lines = told.out.splitlines()
    for row in platforms.rows():
        assert f"# {row.id}: {row.name}" in lines
    commands = [shlex.split(line) for line in lines if not line.startswith("#")]
    assert {tuple(words[:3]) for words in commands} == {("docker", "buildx", "build")}
    assert len(commands) == sum(len(row.layers) + 1 for row in platforms.rows())
    assert "# needs JETSON_APT_URL" in told.out


def test_the_module_is_built_under_the_name_that_its_manifest_has(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "module", "people", "--text"]) == 0
    for name in ("EDGE_AGENT_IMAGE", "EDGE_HUB_IMAGE"):
        monkeypatch.setenv(name, "registry.example/iotedge:1.5")
    for name in ("REGISTRY_USERNAME", "REGISTRY_PASSWORD"):
        monkeypatch.setenv(name, "someone")
    monkeypatch.setenv("CONTAINER_REGISTRY", "registry.example:5000")
    capsys.readouterr()
    assert run(["manifest", "people", "--platform", "orin-r36"]) == 0
    agent = json.loads(capsys.readouterr().out)["modulesContent"]["$edgeAgent"]
    image = agent["properties.desired"]["modules"]["people"]["settings"]["image"]
    told = command("--platform", "orin-r36", "--module", "people", "--print")
    targets = json.loads(told.out)["target"]
    assert targets["module"]["tags"] == [image]
    assert targets["module"]["args"]["MODULE_VERSION"] == "0.1.0"
    assert targets["l4t"]["tags"][0].startswith("registry.example:5000/edgevision/l4t:")
    told = command("opencv", "--platform", "orin-r36", "--module", "people", "--print")
    assert json.loads(told.out)["target"]["opencv"]["tags"] == targets["opencv"]["tags"]
    words = ("--platform", "orin-r36", "--module", "people", "--repository", "mine", "--print")
    made = json.loads(command(*words).out)["target"]
    assert made["module"]["tags"] == [image]
    assert made["l4t"]["tags"][0].startswith("mine/l4t:")


def test_a_registry_that_is_not_named(
    command: Command, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["new", "module", "people", "--text"]) == 0
    monkeypatch.delenv("CONTAINER_REGISTRY", raising=False)
    told = command("--platform", "x86_64-dgpu", "--module", "people", "--dry-run", "--text")
    assert ' --tag "${CONTAINER_REGISTRY}/people:0.1.0-x86_64-dgpu' in told.out
    told = command("--platform", "x86_64-dgpu", "--module", "people", "--print")
    assert json.loads(told.out)["variable"] == {"CONTAINER_REGISTRY": {"default": ""}}
    told = command("--platform", "x86_64-dgpu", "--module", "people", "--text")
    assert told.status == 2
    assert "the environment variable CONTAINER_REGISTRY is not set" in told.err


def test_the_dry_run_is_json_for_programs(command: Command) -> None:
    told = command("cuda", "--platform", "nano-r32.1", "--dry-run", "--json")
    entry = json.loads(told.out)
    assert entry["platform"] == "nano-r32.1"
    assert len(entry["commands"]) == 2


def test_the_plan_is_a_bake_file(command: Command) -> None:
    told = command("--platform", "orin", "--release", "36.5", "--print", "--push")
    document = json.loads(told.out)
    assert document["target"]["module"]["tags"] == ["edgevision/module:orin-r36-l4t36.5.0-cv4.13.0"]
    assert document["target"]["module"]["output"] == ["type=registry"]


def test_the_platforms_are_listed(command: Command) -> None:
    listed = [json.loads(line) for line in command("--list", "--json").out.splitlines()]
    assert [entry["platform"] for entry in listed] == platforms.names()
    assert "nano-r32.1" in command("--list", "--text").out


def test_a_build_gives_bake_its_file_and_names_the_images(command: Command, docker: Docker) -> None:
    words = ("cuda", "--platform", "orin-r36", "--apt-url", "http://127.0.0.1/jetson/", "--json")
    told = command(*words)
    assert told.status == 0, told.err
    images = [json.loads(line) for line in told.out.splitlines()]
    assert [entry["layer"] for entry in images] == ["l4t", "cuda"]
    assert "QEMU runs the build" in told.err
    bake = docker.asked()[-1]
    assert bake[:2] == ["buildx", "bake"]
    assert bake[-2:] == ["l4t", "cuda"]
    assert (docker.folder / "url").read_text() == "http://127.0.0.1/jetson"
    document = json.loads((docker.folder / "bake.json").read_text())
    assert set(document["target"]) == {"l4t", "cuda"}


def test_a_build_that_fails_can_be_gone_on_with(command: Command, docker: Docker) -> None:
    docker.lacks("success")
    told = command("cuda", "--platform", "x86_64-dgpu", "--json")
    assert told.status == 1
    assert "run the same command again to go on" in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--platform", "orin-r3"), "no such platform: 'orin-r3', did you mean 'orin-r3"),
        (("--platform", "nano", "--release", "32.9"), "no release '32.9' of the platform 'nano'"),
        ((), "which platform? --platform NAME; edgevision build --list shows them"),
        (("modul", "--platform", "orin-r36"), "cannot build 'modul', did you mean 'module'?"),
        (("l4t", "--platform", "x86_64-dgpu"), "it has no driver layer"),
        (("--platform", "all"), "--platform all is for --dry-run and --print"),
        (("--platform", "orin-r36"), "give --apt-url or set JETSON_APT_URL"),
        (("wheel", "--platform", "nano-r32.1"), "has no source distribution on PyPI"),
    ],
)
def test_what_is_unknown_or_missing_is_told(
    command: Command, docker: Docker, words: tuple[str, ...], said: str
) -> None:
    told = command(*words)
    assert told.status == 2
    assert said in told.err
    assert "Traceback" not in told.err
    assert not (docker.folder / "asked").exists()


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ("buildx", "Docker has no buildx: apt-get install docker-buildx"),
        ("engine", "the Docker engine does not answer: systemctl start docker"),
        ("qemu", "the builder cannot run linux/arm64 (it offers linux/amd64, linux/386)"),
    ],
)
def test_an_engine_that_lacks_something_is_told(
    command: Command, docker: Docker, lacks: str, said: str
) -> None:
    docker.lacks(lacks)
    told = command("cuda", "--platform", "orin-r36", "--apt-url", "http://127.0.0.1/")
    assert told.status == 2
    assert said in json.loads(told.err.splitlines()[-1])["message"]


def test_no_docker_is_told(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = command("cuda", "--platform", "x86_64-dgpu")
    assert told.status == 2
    assert "Docker is not installed: on Ubuntu and Debian, apt-get install docker.io" in told.err


def test_a_disk_that_is_too_small_is_told(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "space_needed_mb", lambda plan: 10**12)
    with pytest.raises(ConfigurationError, match=r"1000000000\.0 GB needed, [0-9.]+ GB free"):
        engine.Engine().check(make_plan(platforms.platform("x86_64-dgpu")))


def test_compiling_needs_more_space_than_the_images() -> None:
    plan = make_plan(platforms.platform("orin-r36"))
    assert engine.space_needed_mb(plan) > 2 * max(plan.platform.size_mb.values())
    alone = make_plan(platforms.platform("orin-r36"), layer="module", only=True)
    assert engine.space_needed_mb(alone) == 2 * plan.platform.size_mb["module"]


def test_files_that_are_missing_are_told_with_where_they_come_from(
    command: Command, docker: Docker
) -> None:
    told = command("cuda", "--platform", "nano-r32.1")
    assert told.status == 2
    message = json.loads(told.err.splitlines()[-1])["message"]
    assert "Jetson-210_Linux_R32.1.0_aarch64.tbz2 (sha256 e4902a95" in message
    assert "no login" in message
    assert "md5 5e3eedc3707305f9022d41754d6becde, 887 MB" in message
    assert "NVIDIA SDK Manager" in message
    assert "--file PATH or --file URL" in message


def test_a_file_with_a_wrong_sum_is_kept_aside(
    command: Command, docker: Docker, tmp_path: Path
) -> None:
    given = tmp_path / "Jetson-210_Linux_R32.1.0_aarch64.tbz2"
    given.write_bytes(b"half of it")
    told = command("l4t", "--platform", "nano-r32.1", "--file", str(given))
    assert told.status == 2
    message = json.loads(told.err.splitlines()[-1])["message"]
    assert hashlib.sha256(b"half of it").hexdigest() in message
    assert "wanted is e4902a952245217227486322b3e8cef47942f87f2ea91f9e67d700314ae3ade3" in message
    kept = tmp_path / "cache" / "edgevision" / "files" / "nano-r32.1" / f"{given.name}.refused"
    assert kept.read_bytes() == b"half of it"
    assert given.exists(), "the user's own file is left alone"


def _download(content: bytes) -> Download:
    digest = hashlib.sha256(content).hexdigest()
    return Download(name="part.tar.gz", get="somewhere", sha256=digest)


def test_a_file_comes_from_a_path_or_an_address_once(tmp_path: Path) -> None:
    source = tmp_path / "from" / "part.tar.gz"
    source.parent.mkdir()
    source.write_bytes(b"content")
    for number, given in enumerate((str(source), source.as_uri())):
        folder = files.gather([_download(b"content")], [given], tmp_path / f"to{number}")
        assert (folder / "part.tar.gz").read_bytes() == b"content"
        assert [path.name for path in folder.iterdir()] == ["part.tar.gz"]
    source.unlink()
    folder = files.gather([_download(b"content")], [], tmp_path / "to0")
    assert (folder / "part.tar.gz").is_file()


def test_a_download_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    address = (tmp_path / "part.tar.gz").as_uri()
    with pytest.raises(EdgeVisionError, match="cannot be downloaded"):
        files.gather([_download(b"x")], [address], tmp_path / "to")
    assert not (tmp_path / "to" / "part.tar.gz").exists()


def test_a_file_that_nothing_needs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"not needed for this platform: other\.tar"):
        files.gather([_download(b"x")], ["./other.tar"], tmp_path)
    with pytest.raises(ConfigurationError, match="there is no file"):
        files.gather([_download(b"x")], ["./part.tar.gz"], tmp_path)
