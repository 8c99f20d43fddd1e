"""Plans: what is built for a platform, as a bake file and as commands."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgevision.deploy import platforms
from edgevision.deploy.bake import bake_file, build_commands
from edgevision.deploy.plan import APT_URL, make_plan
from edgevision.deploy.platforms import Platform
from edgevision.errors import ConfigurationError
from tests.unit.deploy import golden_plans

SCHEMA = json.loads(Path(__file__).with_name("bake.schema.json").read_text())
EVERY = [platforms.platform(name) for name in platforms.names()]


def _declared(dockerfile: Path) -> set[str]:
    return set(re.findall(r"^ARG (\w+)", dockerfile.read_text(), re.M))


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row.id)
def test_every_platform_renders_to_a_bake_file(row: Platform) -> None:
    plan = make_plan(row)
    document = bake_file(plan)
    jsonschema.validate(document, SCHEMA)
    assert document["group"]["default"]["targets"] == list(row.layers)
    targets: dict[str, Any] = document["target"]
    for target in plan.targets:
        made = targets[target.name]
        assert made["platforms"] == [f"linux/{row.arch}"]
        unknown = set(made["args"]) - _declared(target.dockerfile)
        assert not unknown, "no such ARG in the Dockerfile"
        stages = re.findall(r"^FROM .* AS (\S+)$", target.dockerfile.read_text(), re.M)
        assert made["target"] in stages
        # Each base that is built here comes from its target, under the name that FROM has.
        for name, place in made.get("contexts", {}).items():
            if place.startswith("target:"):
                assert place.removeprefix("target:") in targets
                assert name in made["args"].values()
        if target.kept:
            assert made["tags"] == [f"edgevision/{target.name}:{row.tag}"]


@pytest.mark.parametrize("name", golden_plans.PLATFORMS)
def test_a_plan_is_what_it_was(name: str) -> None:
    golden = (golden_plans.FOLDER / f"{name}.json").read_text()
    assert golden_plans.text(name) == golden, golden_plans.__doc__


def test_the_four_recipes_get_what_they_need() -> None:
    def args(name: str) -> dict[str, str]:
        return make_plan(platforms.platform(name)).targets[0].args

    tarball, apt, split, pc = map(args, ("nano-r32.1", "orin-r36", "agx-thor-r39", "x86_64-dgpu"))
    assert tarball["BSP_SUMS"].startswith("sha256:e4902a95")
    assert "sha1:9138c7dd" in tarball["BSP_SUMS"]
    assert APT_URL not in tarball
    assert apt[APT_URL] == f"${{{APT_URL}}}"
    assert "BSP_FILE" not in apt
    assert apt["JETSON_APT_REPOSITORIES"] == "common t234"
    assert "nvidia-l4t-cuda-openrm" in split["DRIVER_PACKAGES"]
    assert split["DRIVER_LIBRARY_PATH"].split(":")[0].endswith("/openrm")
    assert "DRIVER_RECIPE" not in pc
    assert pc["BASE_IMAGE"].startswith("nvidia/cuda:")
    assert "@sha256:" in pc["BASE_IMAGE"]


def test_files_that_nobody_serves_are_asked_for() -> None:
    names = [file.name for file in make_plan(platforms.platform("nano-r32.1")).needed]
    assert names[0].startswith("Jetson-210_Linux_R32.1.0")
    assert names[1].startswith("cuda-repo-l4t-10-0")
    assert names[2:] == ["opencv-4.1.0.tar.gz", "opencv_contrib-4.1.0.tar.gz"]
    assert not make_plan(platforms.platform("orin-r36")).needed
    assert len(make_plan(platforms.platform("nano-r32.1"), layer="l4t").needed) == 1


def test_one_layer_alone_is_built_on_what_was_pushed() -> None:
    plan = make_plan(platforms.platform("orin-r36"), layer="module", only=True, repository="r.io/x")
    (target,) = plan.targets
    assert target.args["BASE_IMAGE"] == "r.io/x/opencv:orin-r36-l4t36.5.0-cv4.13.0"
    assert not [place for place in target.contexts.values() if place.startswith("target:")]


def test_a_layer_brings_those_below_it_along() -> None:
    plan = make_plan(platforms.platform("orin-r36"), layer="opencv")
    assert [target.name for target in plan.targets] == ["l4t", "cuda", "cuda-devel", "opencv"]
    assert [target.name for target in plan.goals] == ["l4t", "cuda", "opencv"]


@pytest.mark.parametrize(
    ("name", "layer", "said"),
    [
        ("orin-r36", "opencvv", "no layer 'opencvv' of orin-r36, did you mean 'opencv'?"),
        ("x86_64-dgpu", "l4t", "no layer 'l4t' of x86_64-dgpu, it has no driver layer"),
    ],
)
def test_a_layer_that_is_none_is_refused(name: str, layer: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_plan(platforms.platform(name), layer=layer)
    assert said in str(caught.value)


def test_push_and_cache_are_options_of_the_bake_file() -> None:
    plan = make_plan(platforms.platform("sbsa-arm64"))
    targets = bake_file(plan, push=True, cache="type=registry,ref=r.io/cache")["target"]
    assert targets["module"]["output"] == ["type=registry"]
    assert targets["cuda-devel"]["output"] == ["type=cacheonly"]
    assert targets["opencv"]["cache-to"] == ["type=registry,ref=r.io/cache,mode=max"]


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row.id)
def test_commands_say_what_the_bake_file_says(row: Platform) -> None:
    plan = make_plan(row)
    commands = [shlex.split(command) for command in build_commands(plan, push=True)]
    assert [words[words.index("--tag") + 1] for words in commands] == [
        target.image for target in plan.targets
    ]
    for target, words in zip(plan.targets, commands, strict=True):
        given = {
            words[i + 1].partition("=")[0] for i, word in enumerate(words) if word == "--build-arg"
        }
        assert given == set(target.args)
        assert words[-1] == str(target.context)
        assert "--push" in words


def test_a_module_may_have_a_dockerfile_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS module\n")
    plan = make_plan(platforms.platform("orin-r36"), only=True, module=tmp_path, version="1.2")
    assert plan.targets[0].dockerfile == tmp_path / "Dockerfile"
    assert plan.targets[0].args["MODULE_VERSION"] == "1.2"
