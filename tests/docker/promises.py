"""What each layer promises; a child is held to its parents' promises too."""

from __future__ import annotations

from edgevision.deploy.platforms import Platform
from tests.docker.builder import Image

__all__ = ["PROMISES", "hold"]


def _driver(image: Image, platform: Platform) -> None:
    """The driver's libraries are found without NVIDIA's container runtime."""
    links = platform.release.driver.links
    assert links is not None
    for link in links.value:
        target = image.resolved(link.path)
        assert target != link.path, f"{link.path} is no link"
        assert image.run("test", "-f", target) == ""
    assert image.resolved("/usr/lib/aarch64-linux-gnu/libcuda.so.1").endswith(
        "/tegra/libcuda.so.1.1"
    )
    search = image.environment["LD_LIBRARY_PATH"].split(":")
    assert "" not in search, "an empty entry stands for the current folder"
    assert set(platform.library_dirs) <= set(search)
    listed = image.path("/etc/ld.so.conf.d/edgevision-driver.conf").read_text().split()
    assert listed == list(platform.library_dirs)
    assert image.path("/etc/nv_tegra_release").is_file()
    assert image.labels["edgevision.l4t"] == platform.l4t
    assert "tegra-ubuntu" not in image.path("/etc/hosts").read_text()


def _user(image: Image, platform: Platform) -> None:
    """It does not run as root, and reaches GPU and camera nodes by groups."""
    assert image.config["User"] == "10001"
    told = image.run("id")
    assert "uid=10001(edgevision)" in told
    assert "(video)" in told
    assert "(render)" in told
    assert image.labels["edgevision.platform"] == platform.id


def _lean(image: Image, platform: Platform) -> None:
    """Nothing stays of what it was made with."""
    left = [
        name
        for pattern in ("*.tbz2", "cuda-repo-*.deb", "build_wheel.py", "install_driver.sh")
        for name in image.root.rglob(pattern)
        # edgevision itself brings the Dockerfiles along.
        if "site-packages" not in name.parts
    ]
    assert not left
    assert not list(image.path("/var/lib/apt/lists").glob("*Packages*"))
    assert not list(image.path("/var/cache/apt/archives").glob("*.deb"))
    assert not image.path("/usr/bin/gcc").exists()
    assert not list(image.path("/var").glob("cuda-repo-*"))


def _cuda(image: Image, platform: Platform) -> None:
    """CUDA's libraries are there and found, its compiler is not."""
    home = platform.release.cuda.home.value
    environment = image.environment
    assert environment["CUDA_HOME"] == home
    assert environment["PATH"].split(":")[:2].count(f"{home}/bin") == 1
    search = environment["LD_LIBRARY_PATH"].split(":")
    assert search[:2] == [f"{home}/lib64", f"{home}/extras/CUPTI/lib64"]
    assert image.path(f"{home}/lib64/libcudart.so.10").is_file()
    assert image.resolved("/usr/local/cuda") == home
    assert not image.path(f"{home}/bin/nvcc").exists()
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert image.labels["edgevision.cuda"] == platform.release.cuda.version.value


def _opencv(image: Image, platform: Platform) -> None:
    """cv2 works, and pip knows it under each of its names."""
    code = "import cv2, numpy; cv2.flip(numpy.zeros((4, 6, 3), 'u1'), 1); print(cv2.__file__)"
    assert image.run("python3", "-c", code).strip().startswith("/opt/edgevision/lib/")
    assert image.environment["PIP_CONSTRAINT"] == "/opt/edgevision/constraints.txt"
    version = image.labels["edgevision.opencv"]
    listed = image.run("python3", "-m", "pip", "list", "--format=freeze")
    for name in ("opencv-python", "opencv-python-headless", "opencv-contrib-python"):
        assert f"{name}=={version}+" in listed
    assert image.environment["PATH"].startswith("/opt/edgevision/bin:")
    assert image.environment["EDGEVISION_PLATFORM"] == platform.id


def _module(image: Image, platform: Platform) -> None:
    """The command runs as process 1 and is told to stop by SIGTERM."""
    assert image.config["Entrypoint"] == ["python3", "main.py"]
    assert image.run("edgevision", "--version").startswith("edgevision ")
    assert image.run("cat", "/app/pipeline.yaml")


def _no_devices(image: Image, platform: Platform) -> None:
    """Without devices the checks refuse it, and say why."""
    asked = "edgevision devicequery; echo status $?"
    *_, result, status = image.run("sh", "-c", asked).splitlines()
    assert (result, status) == ("Result = FAIL", "status 1")
    told = image.run("sh", "-c", "edgevision doctor --text; echo status $?")
    assert "as EDGEVISION_PLATFORM says" in told
    assert f"device nodes of {platform.id} is here" in told
    assert "this check failed" not in told
    assert told.endswith("status 1\n")


PROMISES = {
    "l4t": (_driver, _user, _lean),
    "cuda": (_cuda,),
    "opencv": (_opencv,),
    "module": (_module, _no_devices),
}
"""By layer."""


def hold(image: Image, layer: str, platform: Platform) -> None:
    """Hold an image to the promises of its layer and of all below it."""
    order = platform.layers
    for name in order[: order.index(layer) + 1]:
        for promise in PROMISES[name]:
            promise(image, platform)
