"""The checks of board, L4T, device nodes, libraries, CUDA and OpenCV."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgevision.cuda.cudart import CudaRuntime
from edgevision.deploy import platforms
from edgevision.doctor import Finding
from tests.unit.cuda.fake_driver import Card
from tests.unit.doctor.machines import BUILD_WITH_CUDA, NOBODY, Bed
from tests.unit.doctor.test_device_query import FakeRuntime

ORIN = platforms.platform("orin-nx-r36" if "orin-nx-r36" in platforms.names() else "orin-r36")
NANO = platforms.platform("nano-r32.1")


def release(l4t: str) -> str:
    major, rest = l4t.split(".", 1)
    return f"# R{major} (release), REVISION: {rest}, GCID: 1, BOARD: generic, EABI: aarch64\n"


def one(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


class TestPlatform:
    def test_nothing_is_known(self, bed: Bed) -> None:
        assert one(bed.look("platform")).level == "ok"

    def test_the_image_says(self, bed: Bed) -> None:
        bed.environment["EDGEVISION_PLATFORM"] = NANO.id
        bed.file("/proc/device-tree/model", "NVIDIA Jetson Nano Developer Kit\0")
        found = one(bed.look("platform"))
        assert found.level == "ok"
        assert "Jetson Nano Developer Kit" in found.seen
        assert "\0" not in found.seen
        assert f"{NANO.id}, as EDGEVISION_PLATFORM says" in found.seen

    def test_the_image_says_nonsense(self, bed: Bed) -> None:
        bed.environment["EDGEVISION_PLATFORM"] = "nano-r32.8"
        found = one(bed.look("platform"))
        assert found.level == "problem"
        assert "did you mean" in found.seen
        assert levels(bed.look("nodes")) == ["ok"]

    def test_another_processor(self, bed: Bed) -> None:
        found = one(bed.look("platform", platform=NANO.id, arch="x86_64"))
        assert (found.level, "is arm64" in found.seen) == ("problem", True)

    def test_another_chip(self, bed: Bed) -> None:
        bed.file("/proc/device-tree/compatible", f"nvidia,p3768\0nvidia,{ORIN.soc}\0")
        found = one(bed.look("platform", platform=NANO.id))
        assert (found.level, ORIN.soc in found.seen) == ("problem", True)

    def test_a_guess_from_release_and_chip(self, bed: Bed) -> None:
        bed.file("/etc/nv_tegra_release", release(ORIN.l4t or ""))
        bed.file("/proc/device-tree/compatible", f"nvidia,p3768\0nvidia,{ORIN.soc}\0")
        found = one(bed.look("platform"))
        assert found.level == "ok"
        assert f"as L4T {ORIN.l4t} on {ORIN.soc} suggests" in found.seen

    @pytest.mark.parametrize("name", ["nano-r32.7", "tx2-r32.7", "xavier-nx-r32.7"])
    def test_the_chip_tells_rows_of_a_release_apart(self, bed: Bed, name: str) -> None:
        row = platforms.platform(name)
        bed.file("/etc/nv_tegra_release", release(row.l4t or ""))
        bed.file("/proc/device-tree/compatible", f"nvidia,{row.soc}\0")
        found = one(bed.look("platform"))
        assert (found.level, f"on {row.soc} suggests" in found.seen) == ("ok", True)
        first = next(node for node in row.devices.nodes if "*" not in node)
        bed.file(first)
        assert first in bed.look("nodes")[0].seen


class TestL4t:
    @pytest.mark.parametrize(
        ("host", "image", "level"),
        [
            ("36.4.3", "36.4.3", "ok"),
            ("36.4.4", "36.4.3", "ok"),
            ("36.3.0", "36.4.3", "warning"),
            ("35.6.0", "36.4.3", "problem"),
        ],
    )
    def test_host_against_image(self, bed: Bed, host: str, image: str, level: str) -> None:
        bed.file("/etc/nv_tegra_release", release(image))
        bed.file("/host/etc/nv_tegra_release", release(host))
        found = one(bed.look("l4t"))
        assert found.level == level
        assert host in found.seen
        assert image in found.seen
        assert bool(found.fix) == (level != "ok")

    def test_the_host_is_unknown_in_a_container(self, bed: Bed) -> None:
        bed.file("/etc/nv_tegra_release", release("36.4.3"))
        bed.file("/.dockerenv")
        found = one(bed.look("l4t"))
        assert found.level == "warning"
        assert ":/host/etc/nv_tegra_release:ro" in found.fix

    def test_the_device_itself(self, bed: Bed) -> None:
        bed.file("/etc/nv_tegra_release", release("36.4.3"))
        assert one(bed.look("l4t", kernel="5.15.148-tegra")).level == "ok"

    def test_an_image_without_l4t_on_a_jetson(self, bed: Bed) -> None:
        assert one(bed.look("l4t", kernel="5.15.148-tegra")).level == "problem"

    def test_a_jetson_image_on_a_pc(self, bed: Bed) -> None:
        bed.file("/etc/nv_tegra_release", release("36.4.3"))
        assert one(bed.look("l4t", arch="x86_64")).level == "problem"

    @pytest.mark.parametrize(("library", "level"), [("580.65.06", "ok"), ("575.57.08", "problem")])
    def test_kernel_module_against_libraries(self, bed: Bed, library: str, level: str) -> None:
        line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release\n"
        bed.file("/proc/driver/nvidia/version", line)
        bed.file(f"/usr/lib/x86_64-linux-gnu/libcuda.so.{library}")
        (bed.root / "usr/lib/x86_64-linux-gnu/libcuda.so.1").symlink_to(f"libcuda.so.{library}")
        assert levels(bed.look("l4t", arch="x86_64")) == [level, "ok"]


class TestNodes:
    def test_no_gpu_is_no_problem(self, bed: Bed) -> None:
        bed.file("/dev/nvme0")
        assert levels(bed.look("nodes")) == ["ok"]

    def test_all_of_them(self, bed: Bed) -> None:
        for node in NANO.devices.nodes:
            bed.file(node)
        found = one(bed.look("nodes", platform=NANO.id))
        assert found.level == "ok"
        assert f"{len(NANO.devices.nodes)} device nodes can be opened" in found.seen

    def test_none_of_them(self, bed: Bed) -> None:
        found = one(bed.look("nodes", platform=NANO.id))
        assert found.level == "problem"
        assert f"--platform {NANO.id}" in found.fix

    def test_one_is_missing(self, bed: Bed) -> None:
        first, *others = NANO.devices.nodes
        for node in others:
            bed.file(node)
        _, found = bed.look("nodes", platform=NANO.id)
        assert (found.level, first in found.seen) == ("problem", True)
        bed.cards(Card())
        _, found = bed.look("nodes", platform=NANO.id)
        assert found.level == "ok"  # the driver answers: it was not needed

    def test_hosts_differ(self, bed: Bed) -> None:
        bed.file(next(node for node in ORIN.devices.nodes if "*" not in node))
        assert levels(bed.look("nodes", platform=ORIN.id)) == ["ok", "ok"]

    def test_patterns(self, bed: Bed) -> None:
        bed.file("/dev/dri/renderD128")
        found, _ = bed.look("nodes", platform=ORIN.id)
        assert "/dev/dri/renderD128" in found.seen

    def test_the_group_that_opens_them(self, bed: Bed) -> None:
        for node in NANO.devices.nodes:
            bed.file(node, mode=0o660)
        gid = bed.file("/etc/group").stat().st_gid
        bed.file("/etc/group", f"root:x:77777:\ncameras:x:{gid}:\n")
        found = one(bed.look("nodes", platform=NANO.id, uid=NOBODY, groups=(gid + 1,)))
        assert found.level == "problem"
        assert f"group cameras, which user {NOBODY} is not in" in found.seen
        assert f"--group-add {gid}" in found.fix
        assert "the same for" in found.seen
        inside = one(bed.look("nodes", platform=NANO.id, uid=NOBODY, groups=(gid,)))
        assert inside.level == "ok"

    def test_a_node_that_leads_nowhere(self, bed: Bed) -> None:
        node = bed.root / NANO.devices.nodes[0].lstrip("/")
        node.parent.mkdir()
        node.symlink_to("nowhere")
        found = bed.look("nodes", platform=NANO.id)
        assert found[0].level == "problem"


class TestDriver:
    def test_none_and_none_expected(self, bed: Bed) -> None:
        assert levels(bed.look("driver")) == ["ok"]

    def test_none_but_expected(self, bed: Bed) -> None:
        found = one(bed.look("driver", platform=ORIN.id))
        assert (found.level, "libcuda.so.1" in found.seen) == ("problem", True)

    def test_an_empty_one(self, bed: Bed) -> None:
        bed.file(f"{ORIN.library_dirs[0]}/libcuda.so.1")
        found = bed.look("driver", platform=ORIN.id)[0]
        assert (found.level, "--runtime nvidia" in found.fix) == ("problem", True)

    def test_a_broken_one(self, bed: Bed) -> None:
        bed.file(f"{ORIN.library_dirs[0]}/libcuda.so.1", b"\x7fELF" + bytes(200))
        found = bed.look("driver", platform=ORIN.id)[0]
        assert (found.level, "does not load" in found.seen) == ("problem", True)

    def test_where_the_variables_say(self, bed: Bed) -> None:
        bed.environment["LD_LIBRARY_PATH"] = "/first:/second"
        bed.file("/second/libcuda.so.1")
        assert "/second/libcuda.so.1" in bed.look("driver")[0].seen

    def test_where_the_loader_is_told(self, bed: Bed) -> None:
        bed.file("/etc/ld.so.conf.d/nvidia.conf", "# NVIDIA\n/opt/nvidia/lib\n")
        bed.file("/opt/nvidia/lib/libcuda.so.1")
        assert "/opt/nvidia/lib/libcuda.so.1" in bed.look("driver")[0].seen

    def test_one_that_loads(self, bed: Bed) -> None:
        import _ctypes

        (bed.root / "lib").mkdir()
        (bed.root / "lib/libcuda.so.1").symlink_to(Path(_ctypes.__file__))
        first, *others = bed.look("driver")
        assert (first.level, first.seen) == ("ok", "/lib/libcuda.so.1 loads")
        assert set(levels(others)) == {"warning"}  # its companions are not there

    def test_links_that_lead_nowhere(self, bed: Bed) -> None:
        bed.file(f"{NANO.library_dirs[0]}/libcuda.so.1")
        seen = " ".join(f.seen for f in bed.look("driver", platform=NANO.id))
        assert "lead nowhere" in seen


class TestCuda:
    def test_none_is_no_problem_on_a_pc(self, bed: Bed) -> None:
        found = one(bed.look("cuda"))
        assert (found.level, "no CUDA (device)" in found.seen) == ("ok", True)

    def test_none_is_one_on_a_jetson(self, bed: Bed) -> None:
        assert one(bed.look("cuda", platform=ORIN.id)).level == "problem"

    def test_none_is_one_with_an_opencv_that_wants_it(self, bed: Bed) -> None:
        bed.cards(code=803)
        found = one(bed.look("cuda", opencv=lambda: BUILD_WITH_CUDA))
        assert (found.level, "different versions" in found.seen) == ("problem", True)

    def test_hidden_devices(self, bed: Bed) -> None:
        bed.cards()
        bed.environment["CUDA_VISIBLE_DEVICES"] = "7"
        found = one(bed.look("cuda"))
        assert (found.level, "'7'" in found.fix) == ("problem", True)

    @pytest.mark.parametrize(
        ("version", "code", "level"),
        [(12060, 0, "ok"), (13010, 0, "warning"), (13010, 35, "problem")],
    )
    def test_runtime_against_driver(self, bed: Bed, version: int, code: int, level: str) -> None:
        bed.cards(Card("Test Orin"), version=12060)
        bed.more["runtime"] = lambda: CudaRuntime("/l/libcudart.so", FakeRuntime(version, code))
        first, second = bed.look("cuda")
        assert (first.level, "Test Orin (8.7)" in first.seen) == ("ok", True)
        assert second.level == level


class TestOpenCV:
    def test_code_for_the_card(self, bed: Bed) -> None:
        bed.cards(Card("Test Orin", (8, 7)))
        found = one(bed.look("opencv", opencv=lambda: BUILD_WITH_CUDA))
        assert (found.level, "Test Orin (8.7)" in found.seen) == ("ok", True)

    def test_no_code_for_the_card(self, bed: Bed) -> None:
        bed.cards(Card("Test Nano", (5, 3)))
        found = one(bed.look("opencv", opencv=lambda: BUILD_WITH_CUDA))
        assert (found.level, "5.3" in found.seen) == ("problem", True)

    def test_no_code_for_one_of_two(self, bed: Bed) -> None:
        bed.cards(Card("Old", (5, 3)), Card("New", (8, 7)))
        old, new = bed.look("opencv", opencv=lambda: BUILD_WITH_CUDA)
        assert (old.level, "--sm 5.3" in old.fix, new.level) == ("warning", True, "ok")

    def test_a_wheel_without_cuda_beside_a_card(self, bed: Bed) -> None:
        bed.cards(Card("Test Orin"))
        found = one(bed.look("opencv"))
        assert (found.level, "Test Orin stands idle" in found.seen) == ("warning", True)

    def test_a_wheel_without_cuda_and_no_driver(self, bed: Bed) -> None:
        assert one(bed.look("opencv")).level == "ok"

    def test_without_cudnn(self, bed: Bed) -> None:
        bed.cards(Card())
        build = BUILD_WITH_CUDA.replace("cuDNN:", "other:")
        assert levels(bed.look("opencv", opencv=lambda: build)) == ["ok", "warning"]


def test_the_bed_asks_for_another_user() -> None:
    assert os.getuid() != NOBODY
