"""The checks of cameras, GStreamer, memory, power, disk, IoT Edge and clock, and running them."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgevision.deploy import platforms
from edgevision.doctor import CHECKS, Finding, Machine, examine
from edgevision.doctor.finding import ok, problem
from edgevision.errors import ConfigurationError
from edgevision.harness.environment import VARIABLES
from edgevision.sources import v4l2
from tests.unit.cli.command import on_terminal, run
from tests.unit.doctor.machines import BUILD_WITH_CUDA, NOBODY, Bed

NANO = platforms.platform("nano-r32.1").id
MIB = 2**20


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


class Listener:
    """A Unix socket that takes connections."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()

    def close(self) -> None:
        self.socket.close()


class TestCameras:
    def test_none(self, bed: Bed) -> None:
        assert levels(bed.look("cameras")) == ["ok"]

    def test_a_file_in_place_of_a_node(self, bed: Bed) -> None:
        bed.file("/dev/video0")
        (found,) = bed.look("cameras")
        assert (found.level, "/dev/video0 is no V4L2 device" in found.seen) == ("warning", True)

    def test_a_closed_one(self, bed: Bed) -> None:
        bed.file("/dev/video0", mode=0o600)
        (found,) = bed.look("cameras", uid=NOBODY, groups=())
        assert (found.level, "--group-add" in found.fix) == ("problem", True)

    def test_no_socket_for_csi(self, bed: Bed) -> None:
        _, argus = bed.look("cameras", platform=NANO)
        assert argus.level == "ok"

    def test_a_folder_in_place_of_the_socket(self, bed: Bed) -> None:
        (bed.root / "tmp/argus_socket").mkdir(parents=True)
        _, argus = bed.look("cameras")
        assert (argus.level, "is no socket" in argus.seen) == ("problem", True)

    def test_a_daemon_that_listens_and_one_that_has_gone(self, bed: Bed) -> None:
        daemon = Listener(bed.root / "tmp/argus_socket")
        try:
            _, argus = bed.look("cameras")
            assert argus.level == "ok"
        finally:
            daemon.close()
        _, argus = bed.look("cameras")
        assert (argus.level, "restart nvargus-daemon" in argus.fix) == ("problem", True)


class Kernel:
    """A camera as linux/videodev2.h describes it, in place of the kernel's ioctl."""

    sizes = {b"MJPG": [(640, 480), (1920, 1080), (800, 600)], b"YUYV": [(640, 480)]}

    def ioctl(self, descriptor: int, request: int, answer: bytearray) -> int:
        if request == 0x80685600:
            answer[16:25] = b"Test Cam\0"
            struct.pack_into("<II", answer, 84, 1, 0)
            return 0
        index, kind = struct.unpack_from("<II", answer)
        if request == 0xC0405602 and kind == 1 and index < len(self.sizes):
            answer[44:48] = list(self.sizes)[index]
            return 0
        if request == 0xC02C564A:
            sizes = self.sizes[bytes(answer[4:8])]
            if index < len(sizes):
                struct.pack_into("<3I", answer, 8, 1, *sizes[index])
                return 0
        raise OSError(errno.EINVAL, "Invalid argument")


class StepwiseKernel(Kernel):
    """A camera that scales to any size between two."""

    def ioctl(self, descriptor: int, request: int, answer: bytearray) -> int:
        if request == 0xC02C564A:
            struct.pack_into("<7I", answer, 8, 3, 32, 1280, 2, 16, 720, 2)
            return 0
        return super().ioctl(descriptor, request, answer)


@pytest.mark.parametrize(
    ("kernel", "wanted"),
    [
        (Kernel(), ["MJPG up to 1920x1080", "YUYV up to 640x480"]),
        (StepwiseKernel(), ["MJPG up to 1280x720", "YUYV up to 1280x720"]),
    ],
)
def test_formats_of_a_camera(
    bed: Bed, kernel: Kernel, wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = bed.file("/dev/video0")
    monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
    assert v4l2.formats(str(node)) == wanted
    (found,) = bed.look("cameras")
    assert (found.level, found.seen) == ("ok", f"/dev/video0 (Test Cam): {', '.join(wanted)}")


class TestGStreamer:
    def test_not_in_opencv(self, bed: Bed) -> None:
        assert levels(bed.look("gstreamer")) == ["ok"]
        assert levels(bed.look("gstreamer", platform=NANO)) == ["problem"]

    def test_no_inspect(self, bed: Bed) -> None:
        assert levels(bed.look("gstreamer", opencv=lambda: BUILD_WITH_CUDA)) == ["ok", "ok"]

    def test_elements(self, bed: Bed) -> None:
        asked: list[str] = []

        def inspect(words: Sequence[str]) -> int:
            asked.append(words[-1])
            return int(words[-1] == "nvvidconv")

        found = bed.look("gstreamer", opencv=lambda: BUILD_WITH_CUDA, platform=NANO, run=inspect)
        assert levels(found) == ["ok", "warning"]
        assert "nvvidconv" in found[1].seen
        assert "rtspsrc" in asked


def meminfo(total: int, available: int, swap: int = 0) -> str:
    sizes = {"MemTotal": total, "MemAvailable": available, "SwapTotal": swap, "SwapFree": swap}
    return "".join(f"{name}:   {mib * 1024} kB\n" for name, mib in sizes.items())


class TestMemory:
    def test_enough(self, bed: Bed) -> None:
        bed.file("/proc/meminfo", meminfo(7600, 5000))
        assert levels(bed.look("memory")) == ["ok", "ok"]

    def test_a_small_board_without_swap(self, bed: Bed) -> None:
        bed.file("/proc/meminfo", meminfo(3956, 2000))
        assert levels(bed.look("memory")) == ["ok", "warning"]
        bed.file("/proc/meminfo", meminfo(3956, 2000, 1978))
        assert levels(bed.look("memory")) == ["ok", "ok"]

    def test_little_is_free(self, bed: Bed) -> None:
        bed.file("/proc/meminfo", meminfo(3956, 200, 1978))
        assert levels(bed.look("memory")) == ["problem", "ok"]

    @pytest.mark.parametrize("version", [1, 2])
    def test_the_container_may_take_little(self, bed: Bed, version: int) -> None:
        bed.file("/proc/meminfo", meminfo(16000, 12000))
        names = {1: ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")}
        limit, used = names.get(version, ("memory.max", "memory.current"))
        bed.file(f"/sys/fs/cgroup/{limit}", f"{1024 * MIB}\n")
        bed.file(f"/sys/fs/cgroup/{used}", f"{900 * MIB}\n")
        found = bed.look("memory")[0]
        assert (found.level, "1.0 GiB and has 900 MiB" in found.seen) == ("problem", True)

    def test_no_limit(self, bed: Bed) -> None:
        bed.file("/proc/meminfo", meminfo(16000, 12000))
        bed.file("/sys/fs/cgroup/memory.max", "max\n")
        assert "container" not in bed.look("memory")[0].seen

    def test_shared_memory(self, bed: Bed) -> None:
        bed.file("/proc/meminfo", meminfo(16000, 12000))
        (bed.root / "dev/shm").mkdir(parents=True)
        assert "free in /dev/shm" in bed.look("memory")[2].seen

    def test_no_proc(self, bed: Bed) -> None:
        assert levels(bed.look("memory")) == ["warning"]


CPU = "/sys/devices/system/cpu"


class TestPower:
    def test_the_mode_by_name(self, bed: Bed) -> None:
        bed.files(
            {
                "/var/lib/nvpmodel/status": "pmode:0001 fmode:fanNull\n",
                "/etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n"
                "CPU_ONLINE CORE_1 1\n< POWER_MODEL ID=1 NAME=5W >\n",
            }
        )
        assert bed.look("power")[0].seen == "power mode 1 (5W)"

    def test_held_back(self, bed: Bed) -> None:
        gpu = "/sys/class/devfreq/57000000.gpu"
        bed.files(
            {
                f"{CPU}/present": "0-3\n",
                f"{CPU}/offline": "2-3,6-127\n",
                f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "1479000\n",
                f"{CPU}/cpu0/cpufreq/scaling_max_freq": "918000\n",
                f"{gpu}/min_freq": "76800000\n",
                f"{gpu}/max_freq": "640000000\n",
                f"{gpu}/available_frequencies": "76800000 640000000 921600000\n",
            }
        )
        found = bed.look("power", kernel="4.9.140-tegra")
        assert levels(found) == ["warning"] * 3
        assert all("nvpmodel" in finding.fix for finding in found)
        assert "processors 2, 3 of 4" in found[0].seen
        assert "0.92 of 1.48 GHz" in found[1].seen
        assert "640 of 922 MHz" in found[2].seen

    def test_what_a_board_could_have_is_not_missed(self, bed: Bed) -> None:
        bed.files({f"{CPU}/present": "0-1\n", f"{CPU}/offline": "2-127\n"})
        assert levels(bed.look("power")) == ["ok"]

    def test_a_pc_has_no_nvpmodel(self, bed: Bed) -> None:
        bed.files({f"{CPU}/present": "0-1\n", f"{CPU}/offline": "1\n"})
        (found,) = bed.look("power")
        assert (found.level, "lscpu" in found.fix) == ("warning", True)

    def test_clocks_are_held(self, bed: Bed) -> None:
        gpu = "/sys/class/devfreq/17000000.ga10b"
        bed.files({f"{gpu}/min_freq": "918000000\n", f"{gpu}/max_freq": "918000000\n"})
        assert "held at 918 MHz" in bed.look("power")[-1].seen

    @pytest.mark.parametrize(
        ("temperature", "level"), [(45000, "ok"), (88500, "warning"), (97000, "problem")]
    )
    def test_heat(self, bed: Bed, temperature: int, level: str) -> None:
        zone = "/sys/class/thermal/thermal_zone"
        bed.files(
            {
                f"{zone}0/temp": "30000\n",
                f"{zone}1/temp": f"{temperature}\n",
                f"{zone}1/type": "GPU-therm\n",
                f"{zone}2/temp": "-256000\n",
            }
        )
        found = bed.look("power")[-1]
        assert (found.level, "GPU-therm" in found.seen) == (level, True)


class TestDisk:
    def test_room(self, bed: Bed) -> None:
        (bed.root / "data").mkdir()
        found = bed.look("disk")[0]
        assert (found.level, "/data/outbox.sqlite" in found.seen) == ("ok", True)

    def test_the_folder_is_made_later(self, bed: Bed) -> None:
        assert bed.look("disk", outbox=Path("/a/b/outbox.sqlite"))[0].level == "ok"

    def test_a_closed_folder(self, bed: Bed) -> None:
        (bed.root / "data").mkdir(mode=0o755)
        (found,) = bed.look("disk", uid=NOBODY, groups=())
        assert (found.level, "chown" in found.fix) == ("problem", True)

    @pytest.mark.parametrize(
        ("mounts", "second"),
        [
            ("overlay / overlay rw 0 0\n", ["warning"]),
            ("overlay / overlay rw 0 0\n/dev/mmcblk0p1 /data ext4 rw 0 0\n", []),
            ("overlay / overlay rw 0 0\n/dev/mmcblk0p1 /dat ext4 rw 0 0\n", ["warning"]),
            ("/dev/mmcblk0p1 / ext4 rw 0 0\ntmpfs /data tmpfs rw 0 0\n", ["warning"]),
        ],
    )
    def test_does_it_last(self, bed: Bed, mounts: str, second: list[str]) -> None:
        (bed.root / "data").mkdir()
        bed.file("/.dockerenv")
        bed.file("/proc/self/mounts", mounts)
        assert levels(bed.look("disk")[1:]) == second


@pytest.fixture
def module(bed: Bed) -> Iterator[Bed]:
    """A module's environment, its workload API included."""
    listener = Listener(bed.root / "w.sock")
    bed.environment.update(dict.fromkeys(VARIABLES, "x"))
    bed.environment.update(
        IOTEDGE_WORKLOADURI="unix:///w.sock", IOTEDGE_GATEWAYHOSTNAME="edgehub.test"
    )
    yield bed
    listener.close()


class TestEdge:
    def test_no_module(self, bed: Bed) -> None:
        assert levels(bed.look("edge")) == ["ok"]

    def test_all_is_well(self, module: Bed) -> None:
        assert levels(module.look("edge")) == ["ok", "ok", "ok"]

    def test_a_variable_is_missing(self, module: Bed) -> None:
        del module.environment["IOTEDGE_DEVICEID"]
        (found,) = module.look("edge")
        assert (found.level, "IOTEDGE_DEVICEID" in found.seen) == ("problem", True)

    def test_the_hub_is_out_of_reach(self, module: Bed) -> None:
        def reach(host: str, port: int, timeout_s: float) -> str:
            return f"{host}:{port} is unknown"

        found = module.look("edge", reach=reach)
        assert levels(found) == ["ok", "ok", "problem"]
        assert "edgehub.test:8883 is unknown" in found[2].seen

    def test_no_workload_socket(self, module: Bed) -> None:
        (module.root / "w.sock").unlink()
        assert levels(module.look("edge")) == ["ok", "problem", "ok"]
        module.file("/w.sock")
        assert "is none" in module.look("edge")[1].seen

    def test_secrets_are_not_shown(self, bed: Bed) -> None:
        secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
        bed.file("/ca.pem")
        bed.environment.update(
            EdgeHubConnectionString="HostName=h.test;GatewayHostName=g.test;DeviceId=d;ModuleId=m;"
            f"SharedAccessKey={secret}",
            EdgeModuleCACertificateFile="/ca.pem",
        )
        assert levels(bed.look("edge")) == ["ok", "ok"]
        assert not any(secret in str(finding) for finding in bed.look("edge"))
        bed.environment["EdgeHubConnectionString"] = f"SharedAccessKey={secret};nonsense"
        (found,) = bed.look("edge")
        assert found.level == "problem"
        assert secret not in str(found)


class TestClock:
    @pytest.mark.parametrize(
        ("now_s", "synchronised", "level"),
        [
            (1.9e9, True, "ok"),
            (1.9e9, None, "ok"),
            (1.9e9, False, "warning"),
            (1.5e9, True, "problem"),
        ],
    )
    def test_time(self, bed: Bed, now_s: float, synchronised: bool | None, level: str) -> None:
        (found,) = bed.look("clock", now_s=lambda: now_s, synchronised=lambda: synchronised)
        assert found.level == level

    def test_the_kernel_is_asked(self) -> None:
        assert Machine().synchronised() in (True, False, None)


class TestExamine:
    def test_a_check_that_fails_does_not_end_the_others(self, bed: Bed) -> None:
        def broken(machine: Machine) -> Iterator[Finding]:
            yield ok("half of it")
            raise RuntimeError("no such thing: password=hunter2")

        checks: dict[str, Any] = {"first": broken, "second": lambda machine: [problem("a", "b")]}
        found = list(examine(Machine(bed.root), checks=checks))
        assert [(name, finding.level) for name, finding in found] == [
            ("first", "ok"),
            ("first", "warning"),
            ("second", "problem"),
        ]
        assert "RuntimeError: no such thing" in found[1][1].seen
        assert "hunter2" not in found[1][1].seen

    def test_an_unknown_check(self, bed: Bed) -> None:
        with pytest.raises(ConfigurationError, match="did you mean 'power'"):
            examine(Machine(bed.root), ["powr"])

    @pytest.mark.parametrize("name", CHECKS)
    def test_each_check_on_an_empty_machine(self, bed: Bed, name: str) -> None:
        found = bed.look(name)
        assert found
        assert all("this check failed" not in finding.seen for finding in found)
        assert all(bool(finding.fix) == (finding.level != "ok") for finding in found)


class TestCommand:
    def test_all_checks_here(self) -> None:
        done = run("doctor", "--json")
        *findings, counts = done.lines
        assert done.code == (1 if counts["problem"] else 0)
        assert {finding["check"] for finding in findings} == set(CHECKS)
        assert not [f for f in findings if "this check failed" in f["seen"]]
        assert sum(counts.values()) == len(findings)

    def test_a_problem_is_an_exit_status(self) -> None:
        done = run("doctor", "platform", "nodes", EDGEVISION_PLATFORM="nano-r32.8")
        assert done.code == 1
        assert (done.lines[0]["check"], done.lines[0]["level"]) == ("platform", "problem")

    def test_text(self) -> None:
        done = on_terminal("doctor", "platform", EDGEVISION_PLATFORM="nano-r32.8")
        assert done.code == 1
        assert "problem  platform" in done.out
        assert "-> edgevision build --list" in done.out
        assert "problems: 1, warnings: 0, ok: 0" in done.out

    @pytest.mark.parametrize("words", [["powr"], ["--platform", "nano-r32.8"]])
    def test_a_mistake_of_the_caller(self, words: list[str]) -> None:
        done = run("doctor", *words)
        assert done.code == 2
        assert "did you mean" in done.error

    def test_list(self) -> None:
        assert [line["check"] for line in run("doctor", "--list", "--json").lines] == list(CHECKS)
