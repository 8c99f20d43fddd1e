"""The table of platforms: what it says, and what is said of a table with mistakes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgevision.deploy import platforms
from edgevision.deploy.facts import MODES
from edgevision.deploy.platforms import Platform
from edgevision.errors import ConfigurationError

ROWS = platforms.rows()
PUBLISHED = """
    nvhost-ctrl nvhost-ctrl-gpu nvhost-prof-gpu nvmap nvhost-gpu nvhost-as-gpu nvhost-vic
    tegra_dc_ctrl
"""


def changed(tmp_path: Path, old: str, new: str, *, count: int = 1) -> tuple[Path, int]:
    """Write the table with one change; return it and the line of the change."""
    text = platforms.FILE.read_text()
    assert text.count(old) >= 1, old
    line = text[: text.index(old)].count("\n") + 1
    path = tmp_path / "platforms.yaml"
    path.write_text(text.replace(old, new, count))
    return path, line


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        platforms.load(path)
    return str(caught.value)


def test_the_first_row_is_the_published_recipe() -> None:
    nano = platforms.platform("nano-r32.1")
    assert nano.l4t == "32.1.0"
    assert nano.devices.nodes == [f"/dev/{name}" for name in PUBLISHED.split()]
    assert nano.modes == ("devices",)
    assert nano.groups == ("video",)
    assert nano.bsp is not None
    assert nano.bsp.sums["sha1"] == "9138c7dd844eb290a20b31446b757e1781080f63"
    archive = nano.release.cuda.archive
    assert archive is not None
    assert archive.value.sums == {"md5": "5e3eedc3707305f9022d41754d6becde"}
    assert nano.release.cuda.version.value == "10.0.166"
    assert (nano.opencv_version, nano.sm, nano.ptx) == ("4.1.0", ("5.3",), ())
    assert not nano.release.opencv.cudacodec.value
    assert nano.tag == "nano-r32.1-l4t32.1.0-cv4.1.0"


def test_every_row_of_the_facts_is_there() -> None:
    wanted = {
        "nano-r32.1": ("tegra210", "5.3", "32.1.0", "10.0.166"),
        "nano-r32.7": ("tegra210", "5.3", "32.7.6", "10.2.300"),
        "tx1-r32.7": ("tegra210", "5.3", "32.7.6", "10.2.300"),
        "tx2-r32.7": ("tegra186", "6.2", "32.7.6", "10.2.300"),
        "xavier-nx-r32.7": ("tegra194", "7.2", "32.7.6", "10.2.300"),
        "agx-xavier-r32.7": ("tegra194", "7.2", "32.7.6", "10.2.300"),
        "xavier-nx-r35": ("tegra194", "7.2", "35.6.4", "11.4.298"),
        "agx-xavier-r35": ("tegra194", "7.2", "35.6.4", "11.4.298"),
        "agx-orin-r35": ("tegra234", "8.7", "35.6.4", "11.4.298"),
        "orin-nx-r35": ("tegra234", "8.7", "35.6.4", "11.4.298"),
        "orin-nano-r35": ("tegra234", "8.7", "35.6.4", "11.4.298"),
        "agx-orin-r36": ("tegra234", "8.7", "36.5.0", "12.6.68"),
        "orin-nx-r36": ("tegra234", "8.7", "36.5.0", "12.6.68"),
        "orin-nano-r36": ("tegra234", "8.7", "36.5.0", "12.6.68"),
        "agx-orin-r39": ("tegra234", "8.7", "39.2.0", "13.2.1"),
        "orin-nx-r39": ("tegra234", "8.7", "39.2.0", "13.2.1"),
        "orin-nano-r39": ("tegra234", "8.7", "39.2.0", "13.2.1"),
        "agx-thor-r38": ("tegra264", "11.0", "38.4.0", "13.0.48"),
        "t4000-r38": ("tegra264", "11.0", "38.4.0", "13.0.48"),
        "agx-thor-r39": ("tegra264", "11.0", "39.2.0", "13.2.1"),
        "t4000-r39": ("tegra264", "11.0", "39.2.0", "13.2.1"),
        "x86_64-dgpu": ("pc", "7.5", None, "13.2.1"),
        "x86_64-dgpu-cuda13.0": ("pc", "7.5", None, "13.0.2"),
        "sbsa-arm64": ("sbsa", "9.0", None, "13.2.1"),
    }
    assert {p.id: (p.soc, p.sm[0], p.l4t, p.release.cuda.version.value) for p in ROWS} == wanted


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_is_whole(row: Platform) -> None:
    release = row.release
    assert row.modes, "no way to the GPU"
    assert set(row.modes) <= set(MODES)
    assert set(row.size_mb) == set(row.layers)
    sizes = [row.size_mb[layer] for layer in row.layers]
    assert sizes == sorted(sizes), "an image is smaller than its base"
    assert row.docker_devices
    assert not [node for node in row.docker_devices if "*" in node]
    if row.is_jetson:
        assert row.arch == "arm64"
        assert row.bsp is not None
        assert row.library_dirs
        assert "devices" in row.modes, "the image holds the driver's libraries"
    else:
        assert not row.library_dirs
        assert "devices" not in row.modes
        assert release.cuda.pip is not None
        assert release.cudnn.pip is not None
    if release.driver.recipe.value in ("apt", "split"):
        assert len(row.repositories) == 2
        assert "nvidia-l4t-core" in row.driver_packages
    if release.cudnn.runtime.value:
        assert release.cudnn.devel is not None
        assert release.cudnn.devel.value
    assert len({p.tag for p in ROWS}) == len(ROWS)


def test_the_gpu_half_of_the_driver_follows_the_chip() -> None:
    orin, thor = platforms.platform("agx-orin-r39"), platforms.platform("agx-thor-r39")
    assert "nvidia-l4t-cuda-nvgpu" in orin.driver_packages
    assert "nvidia-l4t-cuda-openrm" in thor.driver_packages
    assert orin.library_dirs[0].endswith("/nvgpu")
    assert thor.library_dirs[0].endswith("/openrm")
    assert not {"nvidia-l4t-cuda-openrm"} & set(orin.driver_packages)


def test_a_family_is_one_of_its_rows_under_its_own_name() -> None:
    family, row = platforms.platform("orin-r36"), platforms.platform("agx-orin-r36")
    assert family.members == ("agx-orin-r36", "orin-nx-r36", "orin-nano-r36")
    assert family.tag == "orin-r36-l4t36.5.0-cv4.13.0"
    assert "Orin Nano" in family.name
    assert dataclasses.replace(family, id=row.id, name=row.name, members=row.members) == row


def test_plain_docker_gets_folders_for_patterns() -> None:
    devices = platforms.platform("orin-r36").docker_devices
    assert "/dev/dri" in devices
    assert len(set(devices)) == len(devices)


@pytest.mark.parametrize(
    ("name", "release", "found"),
    [
        ("nano", "32.1.0", "nano-r32.1"),
        ("nano", "R32.7", "nano-r32.7"),
        ("orin", "r36", "orin-r36"),
        ("agx-orin", "39.2.0", "agx-orin-r39"),
        ("x86_64-dgpu", "13.0", "x86_64-dgpu-cuda13.0"),
        ("x86_64-dgpu", "cuda-13.2", "x86_64-dgpu"),
        ("orin-r36", "36.5", "orin-r36"),
    ],
)
def test_a_platform_is_found_by_name_and_release(name: str, release: str, found: str) -> None:
    assert platforms.platform(name, release).id == found


@pytest.mark.parametrize(
    ("name", "release", "said"),
    [
        ("orin-r37", None, "no such platform: 'orin-r37', did you mean 'orin-r3"),
        ("orin", None, "(there are: orin-nx-r35, "),
        ("raspberry", None, "edgevision build --list shows them all"),
        ("nano", "32.7.5", "no release '32.7.5' of the platform 'nano', did you mean '32.7.6'?"),
        ("nano", "3", "(there are: 32.1.0, 32.7.6;"),
        ("nanoo", "32.1", "no such platform: 'nanoo', did you mean 'nano'?"),
    ],
)
def test_an_unknown_one_is_refused_with_the_nearest(
    name: str, release: str | None, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        platforms.platform(name, release)
    assert said in str(caught.value)


def test_an_unknown_way_to_the_gpu_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ConfigurationError, match=r"no such way to a GPU: 'gpu', did you mean 'gpus"
    ):
        platforms.platform("orin-r36").mode("gpu")
    assert platforms.platform("orin-r35").mode("gpus").sourced == "ROCKER"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sourced: RECIPE and ID docker/l4t\n", "sourced: RECIPY\n", "did you mean 'RECIPE'?"),
        ('"5.3"', '"5.31"', "must be text matching"),
        ('"5.3"', "5.3", "must be text matching"),
        ("soc: {value: tegra186,", "soc: {value: tegra187,", "did you mean 'tegra186'?"),
        ("release: r36, devices: r36", "release: r37, devices: r36", "no such name: 'r37'"),
        ("devices: nano-published", "devices: nano", "no such name: 'nano'"),
        ("/dev/nvmap\n", "dev/nvmap\n", "must be text matching ^/dev/"),
        ("/dev/nvmap\n", "/dev/nvmap /dev/x\n", "must be text matching"),
        ("      - /dev/nvmap\n", "      - /dev/nvmap\n      - /dev/nvmap\n", "named twice"),
        ("recipe: {value: split", "recipe: {value: splitt", "must be"),
        ("sha1: 9138c7dd", "sha1: 9138c7d", "must be text matching"),
        ("gcc: {value: 7,", "gcc: {value: seven,", "must be a whole number"),
        ("gcc: {value: 7,", "gc: {value: 7,", "there is no such key, did you mean 'gcc'?"),
        (
            "xavier-nx-r35]",
            "xavier-nx-r32.7]",
            "differs from agx-xavier-r35 in release_id, devices",
        ),
        ("{value: [main], sourced: BA}", "{value: [main, sourced: BA}", "not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    path, line = changed(tmp_path, old, new)
    text = refusal(path)
    assert said in text
    # What is wrong with a mapping as a whole is told where it begins.
    near = [f"{path}:{number}:" for number in range(line - 8, line + 4)]
    assert any(place in text for place in near), text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (", sourced: JS NVIDIA_JETPACK}", "}"),
        (", sourced: JS NVIDIA_JETPACK}", ", sourced: JS, inferred: so it is}"),
    ],
)
def test_a_value_is_marked_once(tmp_path: Path, old: str, new: str) -> None:
    path, line = changed(tmp_path, old, new)
    text = refusal(path)
    assert f"{path}:{line}: releases.r32.1.jetpack" in text
    assert "exactly one of 'sourced' and 'inferred'" in text


def test_a_release_lacks_nothing_that_its_rows_need(tmp_path: Path) -> None:
    path, _ = changed(tmp_path, "module: nano, release: r32.7", "module: agx-thor, release: r32.7")
    assert "the recipe 'apt' of r32.7 has no repositories for tegra264" in refusal(path)
    path, _ = changed(
        tmp_path, "module: sbsa-arm64, release: cuda-13.2", "module: sbsa-arm64, release: cuda-13.0"
    )
    assert "cuda-13.0 has no base_image for arm64" in refusal(path)
