"""Rules of this repository that a program can check."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 500


def _tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("needs a git checkout: git clone")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    """Every tracked text file by its path below the root."""
    found = {}
    for path in _tracked():
        data = path.read_bytes()
        if b"\0" not in data[:8192]:
            found[path.relative_to(ROOT)] = data.decode()
    return found


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    table: dict[str, object] = document["project"]
    return table


# Written in pieces, so that this file does not break its own rules.
_OPEN_WORK = "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX"))
_HOSTS = ("pypi" + r"\.org", "python" + r"hosted\.org", "npm" + r"js\.org", "debian" + r"\.org")
FORBIDDEN = {
    "unfinished work": rf"\b({_OPEN_WORK})\b",
    "an ignored failure": r"\|\|" + " true",
    "a type error ignored without its code": "# type:" + r" ignore(?!\[)",
    "a lint finding ignored without its code": "# no" + r"qa(?!: )",
    "the address of a package registry": "|".join(_HOSTS),
    "a path of one machine": r"(?<![\w./:~-])/(work|root)/\w",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str, texts: dict[Path, str]) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if path.suffix != ".txt" and pattern.search(line)
    ]
    assert not found, f"{what}: " + "\n".join(found)


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("unfinished work", "# TO" + "DO: later"),
        ("an ignored failure", "make test ||" + " true"),
        ("a type error ignored without its code", "x = 1  # type:" + " ignore"),
        ("a lint finding ignored without its code", "x = 1  # no" + "qa"),
        ("the address of a package registry", "pip install -i https://pypi" + ".org/simple"),
        ("a path of one machine", "see /ro" + "ot/project/file"),
    ],
)
def test_the_rules_find_what_they_forbid(what: str, line: str) -> None:
    assert re.search(FORBIDDEN[what], line)


def test_no_python_file_is_too_long(texts: dict[Path, str]) -> None:
    lengths = {path: len(text.splitlines()) for path, text in texts.items() if path.suffix == ".py"}
    assert not {str(path): count for path, count in lengths.items() if count > LONGEST_FILE}


def test_requirements_are_hashed_and_hold_no_address(texts: dict[Path, str]) -> None:
    names = {path.name for path in texts}
    assert "uv.lock" not in names
    files = {path: text for path, text in texts.items() if path.parts[0] == "requirements"}
    assert {"build.txt", "dev.txt", "headless.txt", "opencv5.txt", "run.txt"} <= names
    for path, text in files.items():
        assert "://" not in text, path
        pins = re.findall(r"^[A-Za-z0-9].*(?:\n .*)*", text, re.M)
        assert pins, path
        for pin in pins:
            assert "==" in pin, f"{path}: {pin}"
            assert "--hash=sha256:" in pin, f"{path}: {pin}"


def _public_modules() -> list[Path]:
    return [
        path
        for path in _tracked()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] == "edgevision"
        and not any(part.startswith("_") and part != "__init__.py" for part in path.parts)
    ]


def test_every_public_module_says_what_it_is_and_what_it_offers() -> None:
    found = []
    for path in _public_modules():
        tree = ast.parse(path.read_text())
        names = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if not ast.get_docstring(tree):
            found.append(f"{path.relative_to(ROOT)} has no docstring")
        if len(tree.body) > 1 and "__all__" not in names:
            found.append(f"{path.relative_to(ROOT)} has no __all__")
    assert not found, "\n".join(found)


def test_the_changelog_has_this_version(project: dict[str, object]) -> None:
    heading = rf"^## {re.escape(str(project['version']))}( |$)"
    assert re.search(heading, (ROOT / "CHANGELOG.md").read_text(), re.M)


@pytest.mark.skipif(
    not (ROOT / "docs" / "architecture.md").exists(), reason="docs/architecture.md is not written"
)
def test_the_architecture_names_every_dependency(project: dict[str, object]) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    dependencies = project["dependencies"]
    assert isinstance(dependencies, list)
    names = [re.split(r"[\[<>=!~; ]", dependency)[0] for dependency in dependencies]
    assert not [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)]


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for path in _tracked():
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    done = subprocess.run(
        [*build, "--wheel-dir", str(tmp_path), str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        information = {name.partition(".dist-info/")[2] for name in archive.namelist()}
    wanted = {
        str(path.relative_to(ROOT))
        for path in _tracked()
        if path.relative_to(ROOT).parts[0] == "edgevision"
    }
    docker = {path.relative_to(ROOT) for path in _tracked()}
    docker = {path for path in docker if path.parts[0] == "docker"}
    # edgevision build needs the Dockerfiles where there is no checkout.
    wanted |= {f"edgevision/deploy/{path}" for path in docker}
    wanted.add("edgevision/deploy/docker/module/Dockerfile")
    assert names == wanted
    assert "edgevision/py.typed" in names
    assert {"entry_points.txt", "licenses/LICENSE"} <= information
