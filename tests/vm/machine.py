"""A small virtual machine with cameras: Debian's kernel, whose vivid driver makes V4L2 devices.

The kernel comes from the package that ``apt-get download`` fetches once; what is needed of it is
kept in ``out/vm``. The root of the machine is this machine's own, read only over 9p with a tmpfs on
top, so that the virtual environment and the project are there as they are here. QEMU emulates the
processor (TCG), so it needs no KVM. There is no network.
"""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["boot", "missing"]

PROJECT = Path(__file__).resolve().parents[2]
KEPT = PROJECT / "out" / "vm"

_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "vivid")
# Both have a node to capture from (bit 0), whose one input is a webcam (0). The second has a node
# for output too (bit 8), which gives no pictures, as the metadata node of a USB camera does not.
_VIVID = "n_devs=2 node_types=0x1,0x101 num_inputs=1,1 input_types=0x0,0x0 num_outputs=0,1"
_TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "modprobe": "kmod",
    "depmod": "kmod",
    "dpkg": "dpkg",
    "apt-get": "apt",
}
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

_INIT = """#!/busybox sh
/busybox mkdir -p /proc /sys /dev /host /out /writable /new
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sysfs /sys
/busybox mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
    case $module in
        *-vivid.ko) /busybox insmod $module {vivid} ;;
        *) /busybox insmod $module ;;
    esac
done
options=trans=virtio,version=9p2000.L,msize=524288
/busybox mount -t 9p -o $options,ro,cache=loose host /host
/busybox mount -t tmpfs tmpfs /writable
/busybox mkdir /writable/upper /writable/work
/busybox mount -t overlay -o lowerdir=/host,upperdir=/writable/upper,workdir=/writable/work o /new
for folder in proc sys dev tmp; do /busybox mkdir -p /new/$folder; done
/busybox mount --move /proc /new/proc
/busybox mount --move /sys /new/sys
/busybox mount --move /dev /new/dev
/busybox mount -t tmpfs tmpfs /new/tmp
/busybox mkdir -p /new/tmp/out
/busybox mount -t 9p -o $options out /new/tmp/out
exec /busybox switch_root /new /bin/sh /tmp/out/run
"""

_RUN = """#!/bin/sh
export HOME=/tmp PATH={path}
cd {project}
{command} >/tmp/out/output 2>&1
echo $? >/tmp/out/status
sync
echo b >/proc/sysrq-trigger
sleep 60
"""


def missing() -> str | None:
    """Say what this machine lacks to start a virtual one, and how to get it, or None."""
    packages = sorted({p for tool, p in _TOOLS.items() if not shutil.which(tool, path=_PATH)})
    return f"needs apt-get install {' '.join(packages)}" if packages else None


@contextmanager
def boot(command: list[str], *, timeout_s: float) -> Iterator[Path]:
    """Run a command in the project's folder of a new machine, and wait for its end.

    Yields:
        A folder, deleted afterwards, with what the command left in ``/tmp/out``: ``output``, all
        that it printed, ``status``, its exit status, and files of its own.

    Raises:
        RuntimeError: the machine did not start, or did not end in time; the message holds what its
            kernel said last.
    """
    kernel = _kernel()
    with tempfile.TemporaryDirectory(prefix="edgevision-vm-") as name:
        folder = Path(name)
        out = folder / "out"
        out.mkdir()
        (folder / "initrd").write_bytes(_initrd(kernel))
        (out / "run").write_text(
            _RUN.format(path=_PATH, project=shlex.quote(str(PROJECT)), command=shlex.join(command))
        )
        said = _run(kernel, folder, timeout_s)
        if not (out / "status").exists():
            printed = (out / "output").read_text() if (out / "output").exists() else ""
            raise RuntimeError(
                f"the machine did not finish within {timeout_s:g} s; its console:\n"
                f"{said[-4000:]}\nthe command's output:\n{printed[-4000:]}"
            )
        yield out


def _run(kernel: Path, folder: Path, timeout_s: float) -> str:
    process = subprocess.Popen(
        [
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1536"),
            *("-smp", "2", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"),
            *("-kernel", str(kernel / "vmlinuz"), "-initrd", str(folder / "initrd")),
            *("-append", "console=ttyS0 panic=-1 quiet", "-net", "none"),
            "-fsdev",
            "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
            *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
            *("-fsdev", f"local,id=out,path={folder}/out,security_model=none"),
            *("-device", "virtio-9p-pci,fsdev=out,mount_tag=out"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": _PATH},
    )
    try:
        said, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    return said.decode(errors="replace")


def _kernel() -> Path:
    """Return the folder with the kernel and its modules, fetched if it is not there yet."""
    package = _package()
    kernel = KEPT / package
    if (kernel / "vmlinuz").exists():
        return kernel
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as name:
        folder = Path(name)
        subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True)
        (archive,) = folder.glob("*.deb")
        subprocess.run(["dpkg", "-x", str(archive), "unpacked"], cwd=folder, check=True)
        unpacked = folder / "unpacked"
        (image,) = (unpacked / "boot").glob("vmlinuz-*")
        version = image.name.removeprefix("vmlinuz-")
        kept = folder / "kept"
        (kept / "modules").mkdir(parents=True)
        _copy_modules(unpacked, version, kept / "modules")
        shutil.copy(image, kept / "vmlinuz")
        kept.rename(kernel)
    return kernel


def _package() -> str:
    """Return the package of the newest kernel that the machine's package lists name."""
    done = subprocess.run(
        ["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=True
    )
    for line in done.stdout.splitlines():
        word, _, package = line.strip().partition(": ")
        if word == "Depends":
            return package
    raise RuntimeError("apt knows no linux-image-amd64: apt-get update")


def _copy_modules(unpacked: Path, version: str, target: Path) -> None:
    """Copy the modules, numbered in the order in which they must be loaded."""
    environment = {**os.environ, "PATH": _PATH}
    subprocess.run(["depmod", "-b", str(unpacked), version], check=True, env=environment)
    paths: list[Path] = []
    for module in _MODULES:
        listed = subprocess.run(
            ["modprobe", "-d", str(unpacked), "-S", version, "--show-depends", module],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        for line in listed.stdout.splitlines():
            word, _, module = line.strip().partition(" ")
            if word == "insmod" and Path(module) not in paths:
                paths.append(Path(module))
    for number, path in enumerate(paths):
        shutil.copy(path, target / f"{number:02}-{path.name}")


def _initrd(kernel: Path) -> bytes:
    """Return the archive that the kernel unpacks as its first root."""
    busybox = shutil.which("busybox", path=_PATH)
    assert busybox is not None
    entries = [
        _entry("busybox", Path(busybox).read_bytes(), 0o100755),
        _entry("init", _INIT.format(vivid=_VIVID).encode(), 0o100755),
        _entry("modules", b"", 0o040755),
    ]
    for module in sorted((kernel / "modules").iterdir()):
        entries.append(_entry(f"modules/{module.name}", module.read_bytes(), 0o100644))
    entries.append(_entry("TRAILER!!!", b"", 0))
    return gzip.compress(b"".join(entries), compresslevel=1)


def _entry(name: str, content: bytes, mode: int) -> bytes:
    """Return one file of a cpio archive in the format newc (cpio(5))."""
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
