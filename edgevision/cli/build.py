"""``edgevision build``: the images of a platform, or OpenCV's wheel."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevision.cli.output import Output
from edgevision.errors import ConfigurationError, EdgeVisionError
from edgevision.suggestion import did_you_mean

if TYPE_CHECKING:
    from edgevision.deploy.plan import Plan
    from edgevision.deploy.platforms import Platform

__all__ = ["BuildRequest", "build", "list_platforms"]

_APT_LIST = Path("/etc/apt/sources.list.d/nvidia-l4t-apt-source.list")
_WHATS = ("l4t", "cuda", "opencv", "module", "wheel")


@dataclass(frozen=True)
class BuildRequest:
    """What the command line asks for; the fields are its options."""

    what: str = "module"
    platform: str = ""
    release: str | None = None
    repository: str = ""
    module: Path = field(default=Path())
    files: tuple[str, ...] = ()
    apt_url: str = ""
    only: bool = False
    push: bool = False
    cache: str = ""
    jobs: int | None = None
    sm: tuple[str, ...] = ()
    cuda_home: str = ""
    out: Path = field(default=Path("dist"))
    show_plan: bool = False
    dry_run: bool = False


def list_platforms(output: Output) -> int:
    """Print every platform with what it is."""
    from edgevision.deploy import platforms

    for name in platforms.names():
        row = platforms.platform(name)
        if output.data_is_json:
            output.data(
                {
                    "platform": row.id,
                    "name": row.name,
                    "l4t": row.l4t,
                    "cuda": row.release.cuda.version.value,
                    "sm": list(row.sm),
                    "opencv": row.opencv_version,
                    "docker_platform": row.docker_platform,
                    "modes": list(row.modes),
                    "tag": row.tag,
                }
            )
        else:
            stack = f"L4T {row.l4t}" if row.l4t else "no L4T"
            print(f"{row.id:<22}{stack:<13}CUDA {row.release.cuda.version.value:<10}{row.name}")
    return 0


def build(request: BuildRequest, output: Output) -> int:
    """Show or build what is asked for, and return the exit status.

    Raises:
        ConfigurationError: something is unknown or missing; the message says what to do.
        EdgeVisionError: the build failed.
    """
    from edgevision.deploy import platforms

    if request.what not in _WHATS:
        near = did_you_mean(request.what, _WHATS)
        raise ConfigurationError(f"cannot build {request.what!r}{near} ({', '.join(_WHATS)})")
    output.start_logging()
    chosen = platforms.rows()
    if request.platform != "all":
        if not request.platform:
            raise ConfigurationError(
                "which platform? --platform NAME; edgevision build --list shows them"
            )
        chosen = [platforms.platform(request.platform, request.release)]
    elif not (request.dry_run or request.show_plan):
        raise ConfigurationError("--platform all is for --dry-run and --print")
    if request.what == "wheel":
        return max(_wheel(row, request, output) for row in chosen)
    return max(_images(row, request, output, named=len(chosen) > 1) for row in chosen)


def _images(row: Platform, request: BuildRequest, output: Output, *, named: bool) -> int:
    from edgevision.deploy.bake import bake_file, build_commands, write_bake_file
    from edgevision.deploy.engine import Engine, emulation_warning
    from edgevision.deploy.files import cache_folder, gather
    from edgevision.deploy.plan import APT_URL, make_plan
    from edgevision.deploy.wheel import own_wheel

    wheels = request.out / "images"
    layer = request.what
    if named and layer not in row.layers:
        return 0

    own_image, version = _module_image(row, request)

    def planned(files: Path | None) -> Plan:
        return make_plan(
            row,
            layer=layer,
            only=request.only,
            repository=request.repository or _repository(own_image),
            files=files,
            module=request.module,
            wheels=wheels,
            jobs=request.jobs,
            module_image=own_image,
            version=version,
        )

    plan = planned(None)
    warning = emulation_warning(plan)
    if request.show_plan:
        document = bake_file(plan, push=request.push, cache=request.cache)
        print(json.dumps(document, indent=None if named else 2))
        return 0
    if request.dry_run:
        _show(plan, build_commands(plan, push=request.push), output)
        return 0
    if warning:
        output.notice(f"warning: {warning}", platform=row.id)
    apt_url = _apt_url(request) if plan.needs_apt_url else ""
    engine = Engine()
    engine.check(plan)
    if plan.needed:
        folder = gather(plan.needed, request.files, cache_folder() / row.id, output.notice)
        plan = planned(folder)
    elif request.files:
        raise ConfigurationError(f"{row.id} needs no files; --file has nothing to do")
    if any(target.name == "module" for target in plan.targets):
        output.notice(f"packing edgevision as {own_wheel(wheels).name}")
    os.environ[APT_URL] = apt_url
    with tempfile.TemporaryDirectory() as scratch:
        file = write_bake_file(
            plan, Path(scratch) / "docker-bake.json", push=request.push, cache=request.cache
        )
        progress = "plain" if output.logs_are_json else "auto"
        engine.build(file, [target.name for target in plan.goals], progress=progress)
    for target in plan.goals:
        if output.data_is_json:
            output.data({"layer": target.name, "image": target.image, "pushed": request.push})
        else:
            print(target.image)
    after = f"edgevision manifest --platform {row.id}" if request.push else "the same with --push"
    output.notice(f"next: {after}")
    return 0


def _module_image(row: Platform, request: BuildRequest) -> tuple[str, str]:
    """Return the image that a manifest of the folder has, and its version; "" if it says none.

    What is only shown, or below the module, may hold references to the environment.
    """
    from edgevision.deploy.manifest.module_folder import module_image

    named = module_image(request.module, row)
    if named is None:
        return "", ""
    image, version = named

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in os.environ:
            return os.environ[name]
        if request.dry_run or request.show_plan or request.what != "module":
            return found[0]
        raise ConfigurationError(
            f"the environment variable {name} is not set, and the module's image refers to it: "
            f"{image}"
        )

    return re.sub(r"\$\{(\w+)\}", value, image), version


def _repository(image: str) -> str:
    """Return where the images below go: beside the module's own, for all modules there."""
    host, slash, _ = image.partition("/")
    known = slash and "$" not in host and ("." in host or ":" in host or host == "localhost")
    return f"{host}/edgevision" if known else "edgevision"


def _show(plan: Plan, commands: list[str], output: Output) -> None:
    if output.data_is_json:
        output.data({"platform": plan.platform.id, "commands": commands})
        return
    print(f"# {plan.platform.id}: {plan.platform.name}")
    for file in plan.needed:
        print(f"# needs {file.name}, from: {file.get}")
    if plan.needs_apt_url:
        print("# needs JETSON_APT_URL, the address of NVIDIA's repository for Jetson")
    for command in commands:
        print(command)


def _apt_url(request: BuildRequest) -> str:
    """Return the address of NVIDIA's repository for Jetson.

    Raises:
        ConfigurationError: it is not known.
    """
    from edgevision.deploy.plan import APT_URL

    url = request.apt_url or os.environ.get(APT_URL, "")
    if not url and _APT_LIST.is_file():
        # On a Jetson the system itself knows: deb ADDRESS/common SUITE main
        found = re.search(r"^deb\s+(\S+)/common\s", _APT_LIST.read_text(), re.M)
        url = found[1] if found else ""
    if not url:
        raise ConfigurationError(
            "the address of NVIDIA's repository for Jetson is not known: give --apt-url or set "
            f"{APT_URL}. Every Jetson has it in {_APT_LIST}, in front of /common"
        )
    return url.rstrip("/")


def _wheel(row: Platform, request: BuildRequest, output: Output) -> int:
    from edgevision.deploy.wheel import opencv_wheel_command

    work = request.out / f"opencv-{row.id}"
    command = opencv_wheel_command(
        row,
        work=work,
        out=request.out,
        sm=list(request.sm) or None,
        jobs=request.jobs,
        cuda_home=request.cuda_home,
    )
    if request.show_plan or request.dry_run:
        if output.data_is_json:
            output.data({"platform": row.id, "commands": [shlex.join(command)]})
        else:
            print(shlex.join(command))
        return 0
    output.notice(f"building in {work}; when it is cut off, the same command goes on there")
    # Its progress is text of compilers; standard output is for the result.
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode:
        raise EdgeVisionError("OpenCV's wheel was not built; the reason stands above")
    result: dict[str, Any] = {"wheel": str(next(iter(sorted(request.out.glob("opencv_python-*")))))}
    output.data(result) if output.data_is_json else print(result["wheel"])
    return 0
