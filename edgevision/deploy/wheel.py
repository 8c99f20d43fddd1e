"""Wheels made on this machine: OpenCV with CUDA, and edgevision itself for the images."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

from edgevision.deploy.assets import checkout, docker_folder
from edgevision.deploy.platforms import Platform
from edgevision.errors import ConfigurationError, EdgeVisionError

__all__ = ["opencv_wheel_command", "own_wheel"]

_SOURCES = (
    *("pyproject.toml", "setup.py", "README.md", "LICENSE", "edgevision", "docker"),
    "module/Dockerfile",
)
"""What edgevision's wheel is made from."""


def opencv_wheel_command(
    platform: Platform,
    *,
    work: Path,
    out: Path,
    sm: list[str] | None = None,
    jobs: int | None = None,
    cuda_home: str = "",
) -> list[str]:
    """Return the command that builds OpenCV's wheel on this machine, without a container.

    Args:
        platform: the platform; its packages of CUDA come from PyPI.
        work: folder of the build, which may be continued.
        out: where the wheel goes.
        sm: compute capabilities; default those of the platform.
        jobs: compilations at a time; default one for each processor.
        cuda_home: a CUDA of this machine instead of PyPI's.

    Raises:
        ConfigurationError: CUDA for this platform is not on PyPI and none is named, or no compiler
            fits it.
    """
    release = platform.release
    opencv, cuda = release.opencv, release.cuda
    if opencv.source.value != "sdist":
        raise ConfigurationError(
            f"OpenCV {opencv.version.value} has no source distribution on PyPI: build the image "
            f"instead (edgevision build --platform {platform.id})"
        )
    pip = [
        *(cuda.pip.value if cuda.pip else ()),
        *(release.cudnn.pip.value if release.cudnn.pip and opencv.cudnn.value else ()),
    ]
    if not pip and not cuda_home:
        raise ConfigurationError(
            f"CUDA {cuda.version.value} of {platform.id} is not on PyPI: on the device, give "
            f"--cuda-home {cuda.home.value}; elsewhere build the image"
        )
    (source,) = opencv.files.value
    script = docker_folder() / "opencv" / "build_wheel.py"
    command = [sys.executable, str(script), "--version", opencv.version.value]
    requirement = f"opencv-contrib-python=={opencv.version.value}@sha256:{source.sha256}"
    command += ["--sdist", requirement, "--cuda", cuda.version.value]
    command += ["--sm", *(sm or platform.sm)]
    # PTX of a capability that is left out would be the only code for newer cards.
    ptx = [] if sm else platform.ptx
    command += ["--ptx", *ptx] if ptx else []
    command += ["--cudnn"] if opencv.cudnn.value else []
    command += ["--cudacodec"] if opencv.cudacodec.value else []
    command += ["--numpy", opencv.numpy.value]
    command += ["--cuda-home", cuda_home] if cuda_home else ["--pip-cuda", *pip]
    compiler = _compiler(release.gcc.value)
    command += ["--gcc", compiler] if compiler else []
    command += ["--jobs", str(jobs)] if jobs else []
    return [*command, "--work", str(work), "--out", str(out)]


def _compiler(newest: int) -> str:
    """Return a gcc that nvcc works with, or nothing if the default is one.

    Raises:
        ConfigurationError: there is none.
    """
    default = _gcc_version("gcc")
    if default and default <= newest:
        return ""
    for version in range(newest, 6, -1):
        path = shutil.which(f"gcc-{version}")
        if path and shutil.which(f"g++-{version}"):
            return path
    found = f"gcc here is {default}" if default else "there is no gcc here"
    raise ConfigurationError(
        f"nvcc of this platform takes gcc up to {newest}, {found}: "
        f"apt-get install g++{f'-{newest}' if default else ''}"
    )


def _gcc_version(name: str) -> int:
    try:
        done = subprocess.run([name, "-dumpversion"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(done.stdout.split(".")[0])


def own_wheel(folder: Path) -> Path:
    """Write a wheel of this edgevision into a folder and return it.

    An installed edgevision is packed again from its own files; a checkout is built.

    Raises:
        EdgeVisionError: it is neither, or the build fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("edgevision-*.whl"):
        old.unlink()
    root = checkout()
    if root is None:
        return _packed_again(folder)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    build += ["--no-build-isolation"] if importlib.util.find_spec("setuptools") else []
    with tempfile.TemporaryDirectory() as scratch:
        # setuptools walks through everything beside pyproject.toml, and leaves its traces there.
        for name in _SOURCES:
            source, copy = root / name, Path(scratch, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy)
        done = subprocess.run(
            [*build, "--wheel-dir", str(folder), scratch],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise EdgeVisionError(f"edgevision's wheel cannot be built: {done.stderr.strip()[-500:]}")
    (wheel,) = folder.glob("edgevision-*.whl")
    return wheel


def _packed_again(folder: Path) -> Path:
    try:
        distribution = metadata.distribution("edgevision")
    except metadata.PackageNotFoundError as error:
        raise EdgeVisionError("edgevision is not installed: pip install edgevision") from error
    files = [
        file
        for file in distribution.files or ()
        if file.parts[0] == "edgevision" or file.parts[0].endswith(".dist-info")
        if file.suffix != ".pyc" and file.name not in ("RECORD", "INSTALLER", "direct_url.json")
        if file.name != "REQUESTED"
    ]
    info = next(file.parts[0] for file in files if file.parts[0].endswith(".dist-info"))
    wheel = distribution.read_text("WHEEL") or ""
    tag = re.search(r"^Tag: (\S+)$", wheel, re.M)
    path = folder / f"edgevision-{distribution.version}-{tag[1] if tag else 'py3-none-any'}.whl"
    records = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files):
            source = Path(str(distribution.locate_file(file)))
            data = source.read_bytes()
            entry = zipfile.ZipInfo(str(file), (1980, 1, 1, 0, 0, 0))
            # The scripts of the Dockerfiles must stay executable.
            entry.external_attr = source.stat().st_mode << 16
            archive.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
            records.append(f"{file},sha256={digest.decode()},{len(data)}")
        records.append(f"{info}/RECORD,,")
        archive.writestr(f"{info}/RECORD", "\n".join(records) + "\n")
    return path
