"""Stand-ins of what NVIDIA serves: a repository for Jetson, a driver package, a CUDA archive.

They have the layout of the real ones and hold text files in the place of libraries, so that the
recipes of ``docker/`` run unchanged on any Debian: what a recipe must do to them is the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

TEGRA = "usr/lib/aarch64-linux-gnu/tegra"
MARKER = "opt/nvidia/l4t-packages/.nv-l4t-disable-boot-fw-update-in-preinstall"


@dataclass(frozen=True)
class Package:
    """A Debian package.

    Attributes:
        name: its name.
        version: its version.
        files: content by path.
        links: target by path.
        preinst: script that runs before it is unpacked.
        postinst: script that runs after it was unpacked.
        depends: its dependencies.
    """

    name: str
    version: str
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    preinst: str = ""
    postinst: str = ""
    depends: str = ""

    def build(self, folder: Path) -> Path:
        """Write the .deb into a folder."""
        root = folder / f"{self.name}.root"
        _write(root, self.files, self.links)
        control = root / "DEBIAN" / "control"
        control.parent.mkdir(parents=True)
        depends = f"Depends: {self.depends}\n" if self.depends else ""
        control.write_text(
            f"Package: {self.name}\nVersion: {self.version}\nArchitecture: all\n"
            f"Maintainer: stand-in <nobody@example.org>\n{depends}Description: stand-in\n"
        )
        for name, text in (("preinst", self.preinst), ("postinst", self.postinst)):
            if text:
                script = root / "DEBIAN" / name
                script.write_text("#!/bin/sh\nset -e\n" + textwrap.dedent(text))
                script.chmod(0o755)
        path = folder / f"{self.name}_{self.version}_all.deb"
        _run("dpkg-deb", "--root-owner-group", "-Znone", "--build", str(root), str(path))
        shutil.rmtree(root)
        return path


def _write(root: Path, files: Mapping[str, str], links: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text.startswith("#!"):
            path.chmod(0o755)
    for name, target in links.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)


def _run(*command: str, cwd: Path | None = None, home: Path | None = None) -> str:
    environment = {**os.environ, "GNUPGHOME": str(home)} if home else None
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def sha256(path: Path) -> str:
    """Return a file's sum as the Dockerfiles take it."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def driver_packages(version: str) -> list[Package]:
    """Return the driver's packages of a release that is installed by apt."""
    # The real ones look for a board's device tree unless this file is there.
    preinst = f"""
        [ -e /{MARKER} ] || {{ echo "not supported on your configuration" >&2; exit 1; }}
    """
    core = Package(
        "nvidia-l4t-core",
        version,
        {f"{TEGRA}/libnvrm.so": "nvrm", "etc/nv_tegra_release": "# R32 (release)\n"},
        preinst=preinst,
    )
    cuda = Package(
        "nvidia-l4t-cuda",
        version,
        {f"{TEGRA}/libcuda.so.1.1": "cuda"},
        {f"{TEGRA}/libcuda.so": "libcuda.so.1.1"},
        preinst=preinst,
        depends="nvidia-l4t-core",
    )
    graphics = Package(
        "nvidia-l4t-3d-core",
        version,
        {
            f"{TEGRA}/libnvidia-ptxjitcompiler.so.440.18": "ptx",
            f"{TEGRA}/libGL.so.1": "gl",
            f"{TEGRA}-egl/libEGL_nvidia.so.0": "egl",
        },
        preinst=preinst,
    )
    rest = ("multimedia", "multimedia-utils", "camera", "gstreamer")
    return [core, cuda, graphics, *(Package(f"nvidia-l4t-{name}", version) for name in rest)]


def cuda_packages(suffix: str, home: str) -> list[Package]:
    """Return CUDA's packages: libraries, a compiler that needs them, an archiver's leftover."""
    base = home.lstrip("/")
    version = "1.0-1"
    return [
        Package(
            f"cuda-cudart-{suffix}",
            version,
            {f"{base}/lib64/libcudart.so.10": "cudart"},
            postinst=f"ln -sfn {home} /usr/local/cuda",
        ),
        Package(f"cuda-libraries-{suffix}", version, {f"{base}/lib64/libnppc.so.10": "npp"}),
        Package(f"cuda-nvtx-{suffix}", version),
        Package(f"cuda-cupti-{suffix}", version, {f"{base}/extras/CUPTI/lib64/libcupti.so": "c"}),
        Package(
            f"cuda-toolkit-{suffix}",
            version,
            {f"{base}/bin/nvcc": "#!/bin/sh\necho nvcc\n", f"{base}/lib64/libcudart_static.a": ""},
        ),
        Package("libcudnn8", version, {"usr/lib/cudnn/libcudnn.so.8": "cudnn"}),
        Package("libcudnn8-dev", version, {"usr/include/cudnn.h": "// cudnn"}),
        # Names of another Debian than the one that the tests build on.
        Package("libopenmpi2", version),
    ]


def repository(root: Path, parts: Mapping[str, list[Package]], suite: str, key: Key) -> None:
    """Write repositories as NVIDIA has them: one folder for each part, signed by one key."""
    for part, packages in parts.items():
        pool = root / part / "pool"
        pool.mkdir(parents=True)
        for package in packages:
            package.build(pool)
        lists = root / part / "dists" / suite / "main"
        for arch in ("amd64", "arm64"):
            folder = lists / f"binary-{arch}"
            folder.mkdir(parents=True)
            text = _run("apt-ftparchive", "packages", "pool", cwd=root / part)
            (folder / "Packages").write_text(text)
        release = _run(
            "apt-ftparchive",
            "-o",
            f"APT::FTPArchive::Release::Codename={suite}",
            "-o",
            "APT::FTPArchive::Release::Components=main",
            "-o",
            "APT::FTPArchive::Release::Architectures=amd64 arm64",
            "release",
            f"dists/{suite}",
            cwd=root / part,
        )
        path = root / part / "dists" / suite / "Release"
        path.write_text(release)
        key.sign(path, path.with_name("InRelease"))
    (root / "jetson-ota-public.asc").write_text(key.public)


@dataclass(frozen=True)
class Key:
    """A signing key of its own.

    Attributes:
        folder: GnuPG's home.
        fingerprint: the key's.
        public: the public half.
    """

    folder: Path
    fingerprint: str
    public: str

    @classmethod
    def make(cls, folder: Path) -> Key:
        """Make a key; GnuPG's home needs a short path for its sockets."""
        folder.mkdir(mode=0o700, parents=True)
        name = "stand-in@example.org"
        options = ("--batch", "--passphrase", "", "--quick-generate-key", name, "rsa2048", "sign")
        _run("gpg", *options, home=folder)
        listed = _run("gpg", "--list-keys", "--with-colons", name, home=folder)
        fingerprint = next(
            line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr")
        )
        public = _run("gpg", "--armor", "--export", name, home=folder)
        _run("gpgconf", "--kill", "all", home=folder)
        return cls(folder, fingerprint, public)

    def sign(self, path: Path, to: Path) -> None:
        """Sign a text in clear."""
        home = self.folder
        _run("gpg", "--batch", "--yes", "--clearsign", "--output", str(to), str(path), home=home)
        _run("gpgconf", "--kill", "all", home=home)


_APPLY = """\
#!/bin/bash
# Unpacks each part onto the root file system, as NVIDIA's does.
set -e
while getopts "r:" option; do
  case $option in r) LDK_ROOTFS_DIR=$OPTARG ;; esac
done
LDK_NV_TEGRA_DIR=$(cd "$(dirname "$0")" && pwd)/nv_tegra
[ "$(whoami)" = root ] || exit 1
pushd "$LDK_ROOTFS_DIR" >/dev/null
echo "Extracting the NVIDIA user space components to $LDK_ROOTFS_DIR"
tar xpfm "$LDK_NV_TEGRA_DIR/nvidia_drivers.tbz2"
echo "Extracting the configuration files to $LDK_ROOTFS_DIR"
tar xpfm "$LDK_NV_TEGRA_DIR/config.tbz2"
popd >/dev/null
echo Success!
"""


def bsp(folder: Path, name: str) -> Path:
    """Write a driver package of a release that is installed from one file."""
    tree = folder / "bsp"
    parts = tree / "Linux_for_Tegra" / "nv_tegra"
    drivers = {
        f"{TEGRA}/libnvrm.so": "nvrm",
        f"{TEGRA}/libcuda.so.1.1": "cuda",
        f"{TEGRA}/libnvidia-ptxjitcompiler.so.32.1.0": "ptx",
        f"{TEGRA}/libGL.so.1": "gl",
        f"{TEGRA}-egl/libEGL_nvidia.so.0": "egl",
        "etc/nv_tegra_release": "# R32 (release), REVISION: 1.0, BOARD: t210ref\n",
        # A file that the root file system has already, and a folder that is a link there.
        "etc/issue": "from the driver package\n",
    }
    _pack(parts / "nvidia_drivers.tbz2", drivers, {f"{TEGRA}/libcuda.so": "libcuda.so.1.1"})
    configuration = {
        "etc/hosts": "127.0.0.1 tegra-ubuntu\n",
        "etc/hostname": "tegra-ubuntu\n",
        "etc/modprobe.d/tegra.conf": "# from the driver package\n",
    }
    _pack(parts / "config.tbz2", configuration, {})
    apply_binaries = tree / "Linux_for_Tegra" / "apply_binaries.sh"
    apply_binaries.write_text(_APPLY)
    apply_binaries.chmod(0o755)
    path = folder / name
    with tarfile.open(path, "w:bz2") as archive:
        archive.add(tree / "Linux_for_Tegra", "Linux_for_Tegra")
    shutil.rmtree(tree)
    return path


def _pack(path: Path, files: Mapping[str, str], links: Mapping[str, str]) -> None:
    root = path.with_suffix(".root")
    _write(root, files, links)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:bz2") as archive:
        for entry in sorted(root.iterdir()):
            archive.add(entry, entry.name)
    shutil.rmtree(root)


def cuda_archive(folder: Path, name: str, packages: list[Package]) -> Path:
    """Write a deb that holds a repository, as NVIDIA's local installers do."""
    place = "var/cuda-repo-10-0-local"
    tree = folder / "archive"
    (tree / place).mkdir(parents=True)
    for package in packages:
        package.build(tree / place)
    (tree / place / "Packages").write_text(
        _run("apt-ftparchive", "packages", ".", cwd=tree / place)
    )
    source = tree / "etc" / "apt" / "sources.list.d" / "cuda-10-0-local.list"
    source.parent.mkdir(parents=True)
    source.write_text(f"deb file:///{place} /\n")
    control = tree / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text(
        "Package: cuda-repo-l4t-10-0-local\nVersion: 1.0-1\nArchitecture: all\n"
        "Maintainer: stand-in <nobody@example.org>\nDescription: stand-in\n"
    )
    path = folder / name
    _run("dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(path))
    shutil.rmtree(tree)
    return path
