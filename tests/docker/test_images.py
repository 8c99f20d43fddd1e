"""The chain, built for real from stand-ins of what NVIDIA serves.

Run with ``python3 dev.py test --only-pytest --images tests/docker``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgevision.deploy import platforms
from edgevision.deploy.plan import APT_URL, Plan, make_plan
from edgevision.deploy.platforms import Platform
from edgevision.deploy.wheel import own_wheel
from tests.docker import standin
from tests.docker.builder import Builder, BuildFailedError
from tests.docker.promises import hold

pytestmark = [pytest.mark.images, pytest.mark.needs("buildah"), pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
_LEFT_OUT = (
    *("FFMPEG", "GSTREAMER", "ITT", "JPEG", "OPENCL", "OPENJPEG", "PNG", "PROTOBUF"),
    *("TIFF", "V4L", "WEBP"),
)
PACKAGES = "32.7.6-20241104234540"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass(frozen=True)
class World:
    """A builder and what stands for NVIDIA's servers."""

    builder: Builder
    base: str
    files: Path
    url: str
    key: standin.Key

    def common(self) -> dict[str, str]:
        """Return the arguments that differ from the table in every build here."""
        return {"ARCH": "amd64", "PYTHON_SOURCE": "distribution", "PYTHON_VERSION": "3.11"}

    def l4t(self, plan: Plan, **changes: str) -> str:
        """Build the driver layer of a platform."""
        args = {**self.common(), "BASE_IMAGE": self.base}
        if plan.platform.release.driver.recipe.value == "tarball":
            assert plan.platform.bsp is not None
            args["BSP_SUMS"] = standin.sha256(self.files / plan.platform.bsp.name)
        else:
            args[APT_URL] = self.url
            args["JETSON_KEY_FINGERPRINTS"] = self.key.fingerprint
        return self.builder.build(plan.targets[0], {**args, **changes}, {"files": str(self.files)})

    def above(self, plan: Plan, name: str, base: str, **changes: str) -> str:
        """Build another layer on a base."""
        target = next(target for target in plan.targets if target.name == name)
        args = {**self.common(), "BASE_IMAGE": base}
        archive = plan.platform.release.cuda.archive
        if archive and name.startswith("cuda"):
            args["CUDA_ARCHIVE_SUMS"] = standin.sha256(self.files / archive.value.name)
        places = {} if name == "module" else {"files": str(self.files)}
        return self.builder.build(target, {**args, **changes}, places)


def _plan(name: str, module: Path | None = None, wheels: Path | None = None) -> Plan:
    return make_plan(platforms.platform(name), module=module, wheels=wheels)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("served")
    # GnuPG's sockets need a short path.
    key = standin.Key.make(tmp_path_factory.mktemp("k") / "g")
    drivers = standin.driver_packages(PACKAGES)
    # A newer point release in the same suite must not be taken.
    newer = [replace(package, version="32.7.7-20251104000000") for package in drivers]
    parts = {
        "common": standin.cuda_packages("10-2", "/usr/local/cuda-10.2"),
        "t210": [*drivers, *newer],
    }
    standin.repository(folder / "jetson", parts, "r32.7", key)
    files = folder / "files"
    files.mkdir()
    nano = platforms.platform("nano-r32.1")
    archive = nano.release.cuda.archive
    assert nano.bsp is not None
    assert archive is not None
    standin.bsp(files, nano.bsp.name)
    packages = standin.cuda_packages("10-0", nano.release.cuda.home.value)
    standin.cuda_archive(files, archive.value.name, packages)
    builder = Builder.make(Builder.default_folder())
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/jetson"
            yield World(builder, builder.base(), files, url, key)
        finally:
            server.shutdown()
            thread.join()


def _look(world: World, image: str, layer: str, platform: Platform) -> None:
    with world.builder.opened(image) as opened:
        hold(opened, layer, platform)


@pytest.fixture(scope="module")
def tarball(world: World) -> str:
    return world.l4t(_plan("nano-r32.1"))


@pytest.fixture(scope="module")
def tarball_cuda(world: World, tarball: str) -> str:
    return world.above(_plan("nano-r32.1"), "cuda", tarball)


@pytest.fixture(scope="module")
def packages(world: World) -> str:
    return world.l4t(_plan("nano-r32.7"))


@pytest.fixture(scope="module")
def packages_cuda(world: World, packages: str) -> str:
    return world.above(_plan("nano-r32.7"), "cuda", packages)


def test_the_driver_comes_from_one_file(world: World, tarball: str) -> None:
    _look(world, tarball, "l4t", platforms.platform("nano-r32.1"))
    with world.builder.opened(tarball) as image:
        # apply_binaries.sh overwrites what the distribution has, but for what Docker mounts.
        assert image.path("/etc/issue").read_text() == "from the driver package\n"
        assert image.path("/etc/modprobe.d/tegra.conf").is_file()
        assert image.labels["edgevision.driver.recipe"] == "tarball"


def test_the_driver_comes_from_packages(world: World, packages: str) -> None:
    _look(world, packages, "l4t", platforms.platform("nano-r32.7"))
    with world.builder.opened(packages) as image:
        show = "--showformat=${Version}"
        assert image.run("dpkg-query", "--show", show, "nvidia-l4t-core") == PACKAGES
        source = image.path("/etc/apt/sources.list.d/jetson.list").read_text()
        assert f"signed-by=/usr/share/keyrings/jetson.gpg] {world.url}/t210 r32.7 main" in source
        assert not image.path("/usr/bin/curl").exists(), "the key was fetched in another stage"


def test_cuda_comes_from_an_archive(world: World, tarball_cuda: str) -> None:
    _look(world, tarball_cuda, "cuda", platforms.platform("nano-r32.1"))
    with world.builder.opened(tarball_cuda) as image:
        assert image.run("mpirun", "--version").startswith("mpirun")
        assert "cuda-repo" not in image.run("dpkg-query", "--show", "--showformat=${Package}\n")


def test_cuda_comes_from_packages(world: World, packages_cuda: str) -> None:
    _look(world, packages_cuda, "cuda", platforms.platform("nano-r32.7"))
    with world.builder.opened(packages_cuda) as image:
        assert image.path("/usr/lib/cudnn/libcudnn.so.8").is_file()


def test_the_compiler_is_in_an_image_of_its_own(world: World, tarball: str) -> None:
    devel = world.above(_plan("nano-r32.1"), "cuda-devel", tarball)
    with world.builder.opened(devel) as image:
        assert image.run("nvcc").strip() == "nvcc"
        assert image.config["User"] == "10001"


def test_a_layer_that_did_not_change_is_not_built_again(world: World, tarball: str) -> None:
    with world.builder.opened(tarball) as image:
        before = image.path("/etc/ld.so.cache").stat().st_mtime_ns
    again = world.l4t(_plan("nano-r32.1"))
    with world.builder.opened(again) as image:
        assert image.path("/etc/ld.so.cache").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("platform", "changes", "said"),
    [
        ("nano-r32.1", {"BSP_SUMS": f"sha256:{'0' * 64}"}, f"wanted is {'0' * 64}"),
        ("nano-r32.1", {"BSP_FILE": "absent.tbz2"}, "there is no file absent.tbz2"),
        ("nano-r32.1", {"ARCH": "arm64"}, "the base image is for amd64, this platform needs arm64"),
        ("nano-r32.1", {"DRIVER_LINKS": "/usr/lib/x.so=tegra/none.*"}, "nothing to link"),
        ("nano-r32.7", {"JETSON_KEY_FINGERPRINTS": "A" * 40}, "known are: AAAA"),
        ("nano-r32.7", {"L4T_RELEASE": "32.7.5"}, "the platform is 32.7.5"),
        ("nano-r32.7", {APT_URL: ""}, "JETSON_APT_URL is not set"),
    ],
    ids=["sum", "file", "arch", "link", "key", "release", "address"],
)
def test_a_layer_is_refused(
    world: World, platform: str, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(BuildFailedError) as caught:
        world.l4t(_plan(platform), **changes)
    assert said in str(caught.value)


def test_opencv_and_a_module_on_top(
    world: World, tarball: str, tarball_cuda: str, tmp_path: Path
) -> None:
    """Compiles OpenCV's core alone, without CUDA and without optimisation, so that it ends."""
    row = platforms.platform("x86_64-dgpu")
    (source,) = row.release.opencv.files.value
    version = row.release.opencv.version.value
    options = f"--version {version} --modules core --numpy {row.release.opencv.numpy.value}"
    options += "".join(f" --flag WITH_{name}=OFF" for name in _LEFT_OUT)
    options += " --flag CPU_DISPATCH= --flag CMAKE_CXX_FLAGS_RELEASE=-O0"
    options += f" --sdist opencv-contrib-python=={version}@sha256:{source.sha256}"
    changes = {"OPENCV_OPTIONS": options, "OPENCV_VERSION": version}
    changes["OPENCV_BUILD_PACKAGES"] = "build-essential|absent ca-certificates absent|ccache"
    plan = _plan("nano-r32.1")
    devel = world.above(plan, "cuda-devel", tarball)
    image = world.above(plan, "opencv", tarball_cuda, DEVEL_IMAGE=devel, **changes)
    _look(world, image, "opencv", plan.platform)
    own_wheel(tmp_path / "wheels")
    plan = _plan("nano-r32.1", module=ROOT / "module", wheels=tmp_path / "wheels")
    module = world.above(plan, "module", image)
    _look(world, module, "module", plan.platform)
