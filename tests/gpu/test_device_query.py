"""`edgevision devicequery` on a card, against OpenCV and, where it is built, NVIDIA's sample."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import cv2
import pytest

from edgevision.cuda.cudart import find
from edgevision.cuda.device_query import Query, query


@pytest.fixture(scope="module")
def found() -> Query:
    return query(runtime=find())


def test_it_passes(found: Query) -> None:
    assert found.passed, str(found)
    assert str(found).splitlines()[-1] == "Result = PASS"
    assert len(found.devices) == cv2.cuda.getCudaEnabledDeviceCount()


def test_the_driver_knows_every_attribute(found: Query) -> None:
    assert "unknown" not in str(found)


def test_opencv_says_the_same(found: Query) -> None:
    for device in found.devices:
        own = cv2.cuda.DeviceInfo(device.index)
        value = {field.key: field.value for field in device.fields}
        assert value["capability"] == f"{own.majorVersion()}.{own.minorVersion()}"
        assert value["global_memory_bytes"] == own.totalGlobalMem()
        assert value["multiprocessors"]["count"] == own.multiProcessorCount()
        assert value["copies_beside_kernels"]["copy_engines"] == own.asyncEngineCount()
        assert value["block_size"] == [int(size) for size in own.maxThreadsDim()]
        assert value["grid_size"] == [int(size) for size in own.maxGridSize()]
        assert value["texture"]["2d"] == [int(size) for size in own.maxTexture2D()]
        assert value["texture"]["3d"] == [int(size) for size in own.maxTexture3D()]
        for key, theirs in (
            ("constant_memory_bytes", own.totalConstMem()),
            ("ecc", own.ECCEnabled()),
            ("integrated", own.integrated()),
            ("l2_bytes", own.l2CacheSize()),
            ("maps_host_memory", own.canMapHostMemory()),
            ("memory_bus_bits", own.memoryBusWidth()),
            ("memory_pitch_bytes", own.memPitch()),
            ("registers_per_block", own.regsPerBlock()),
            ("shared_memory_per_block_bytes", own.sharedMemPerBlock()),
            ("texture_alignment_bytes", own.textureAlignment()),
            ("threads_per_block", own.maxThreadsPerBlock()),
            ("threads_per_multiprocessor", own.maxThreadsPerMultiProcessor()),
            ("unified_addressing", own.unifiedAddressing()),
            ("warp_size", own.warpSize()),
        ):
            assert value[key] == theirs, key
        assert value["pci"] == [own.pciDomainID(), own.pciBusID(), own.pciDeviceID()]


def test_the_sample_says_the_same(found: Query) -> None:
    program = os.environ.get("DEVICE_QUERY") or shutil.which("deviceQuery")
    if not program:
        pytest.skip("needs NVIDIA's deviceQuery, built: its path in DEVICE_QUERY")
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=True)

    def comparable(text: str) -> list[str]:
        # Its runtime is linked into it, and what a mode means is told in other words.
        lines = text[text.index("Detected") :].splitlines()
        kept = [line for line in lines if "Runtime Version" not in line]
        return [re.sub(r"(< [\w ]+) \(.*", r"\1", line).rstrip() for line in kept]

    assert comparable(str(found)) == comparable(done.stdout)
