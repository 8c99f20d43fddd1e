"""Docker on this machine: what it lacks for a build, and the build itself."""

from __future__ import annotations

import platform as machine
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgevision.deploy.plan import Plan
from edgevision.errors import ConfigurationError, EdgeVisionError

__all__ = ["Engine", "emulation_warning", "space_needed_mb"]

_ARCHS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# Measured: a Python loop under QEMU takes ten times as long, an image operation thirty times.
_SLOWER = "10 to 30 times"
# What compiling OpenCV leaves in the builder, beside the images.
_BUILD_SPACE_MB = 15_000


def emulation_warning(plan: Plan) -> str:
    """Return a warning if the platform's processor is not this machine's, or nothing."""
    own = _ARCHS.get(machine.machine(), machine.machine())
    wanted = plan.platform.arch
    if own == wanted:
        return ""
    text = f"{plan.platform.id} is {wanted} and this machine is {own}: QEMU runs the build"
    if any(target.name == "opencv" for target in plan.targets):
        return (
            f"{text}, {_SLOWER} slower. Compiling OpenCV takes hours on an {wanted} machine and "
            f"days here: run edgevision build opencv --push on one, the rest anywhere"
        )
    return f"{text}, {_SLOWER} slower"


def space_needed_mb(plan: Plan) -> int:
    """Return the space that a build takes in the engine's folder: images, layers, sources."""
    sizes = plan.platform.size_mb
    top = max((sizes.get(target.name, 0) for target in plan.targets), default=0)
    compiles = any(target.name == "opencv" for target in plan.targets)
    return 2 * top + (_BUILD_SPACE_MB if compiles else 0)


class Engine:
    """The ``docker`` command of this machine.

    Args:
        program: name or path of the command.
    """

    def __init__(self, program: str = "docker") -> None:
        self._program = program

    def check(self, plan: Plan) -> None:
        """Look for what would stop the build later.

        Raises:
            ConfigurationError: Docker, buildx, the emulator or space is missing; the message says
                what to do.
        """
        if shutil.which(self._program) is None:
            raise ConfigurationError(
                "Docker is not installed: on Ubuntu and Debian, apt-get install docker.io "
                "docker-buildx; --dry-run and --print work without it"
            )
        if self._ask("buildx", "version") is None:
            raise ConfigurationError(
                "Docker has no buildx: apt-get install docker-buildx (Ubuntu, Debian) or "
                "docker-buildx-plugin (Docker's own repository)"
            )
        if self._ask("info", "--format", "{{.ServerVersion}}") is None:
            raise ConfigurationError(
                "the Docker engine does not answer: systemctl start docker, and be in the group "
                "docker (usermod -aG docker $USER, then log in again)"
            )
        self._check_emulation(plan)
        self._check_space(plan)

    def _check_emulation(self, plan: Plan) -> None:
        wanted = plan.platform.docker_platform
        told = self._ask("buildx", "inspect", "--bootstrap") or ""
        line = re.search(r"^\s*Platforms:\s*(.*)$", told, re.M)
        if line is None:
            return
        offered = [word.strip(" *") for word in line[1].split(",")]
        if not any(name == wanted or name.startswith(f"{wanted}/") for name in offered):
            raise ConfigurationError(
                f"the builder cannot run {wanted} (it offers {', '.join(offered)}): install QEMU "
                "with apt-get install qemu-user-static binfmt-support, then docker buildx "
                "inspect --bootstrap"
            )

    def _check_space(self, plan: Plan) -> None:
        root = Path((self._ask("info", "--format", "{{.DockerRootDir}}") or "").strip() or "/")
        while not root.exists():
            root = root.parent
        free_mb = shutil.disk_usage(root).free // 10**6
        needed_mb = space_needed_mb(plan)
        if free_mb < needed_mb:
            raise ConfigurationError(
                f"the disk of {root} is too small: {needed_mb / 1e3:.1f} GB needed, "
                f"{free_mb / 1e3:.1f} GB free (docker builder prune frees some)"
            )

    def bake_command(self, file: Path, targets: Sequence[str], *, progress: str) -> list[str]:
        """Return the command that builds targets of a bake file."""
        # The contexts are this command's own and the user's; buildx would ask about each.
        allowed = ["--allow", "fs.read=*"]
        words = [self._program, "buildx", "bake", "--file", str(file), "--progress", progress]
        return [*words, *(allowed if self._knows_allow() else []), *targets]

    def _knows_allow(self) -> bool:
        return "--allow" in (self._ask("buildx", "bake", "--help") or "")

    def build(self, file: Path, targets: Sequence[str], *, progress: str) -> None:
        """Build the targets; the engine prints its progress itself.

        Raises:
            EdgeVisionError: the build failed.
        """
        command = self.bake_command(file, targets, progress=progress)
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise EdgeVisionError(
                f"docker buildx bake ended with {done.returncode}; the reason stands above. What "
                "was built is kept: run the same command again to go on"
            )

    def _ask(self, *words: str) -> str | None:
        """Return what a docker command prints, or None if it fails."""
        try:
            done = subprocess.run(
                [self._program, *words], capture_output=True, text=True, timeout=120, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None
