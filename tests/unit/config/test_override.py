"""Sources and parameters from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevision.config import Override, PipelineConfig, load, parse
from edgevision.errors import ConfigurationError

TEXT = """
x-edges: &edges {low: 20}
cameras:
  door: {source: "webcam:0"}
  yard: {source: "webcam:1", stages: [{use: edges, name: lines}]}
stages:
  - resize
  - edges: *edges
  - {use: edges, name: more, params: *edges}
"""


def changed(**values: float) -> PipelineConfig:
    params = {(n.split("__")[0], n.split("__")[1]): value for n, value in values.items()}
    return parse(TEXT, file="p.yaml", override=Override(params=params))


def test_a_parameter_of_a_stage() -> None:
    config = changed(resize__width=320, edges__low=30, lines__high=99)
    assert [stage.values for stage in config.stages] == [{"width": 320}, {"low": 30}, {"low": 20}]
    assert [stage.values for stage in config.stages_of("yard")] == [{"high": 99}]


def test_a_bad_value_says_where_it_came_from() -> None:
    with pytest.raises(ConfigurationError, match=r"low \(--set\): parameter low of stage edges"):
        changed(edges__low=-1)
    with pytest.raises(ConfigurationError, match=r"loww \(--set\): .*, did you mean 'low'\?"):
        changed(edges__loww=1)


def test_an_unknown_stage() -> None:
    with pytest.raises(ConfigurationError) as caught:
        changed(edge__low=1)
    assert str(caught.value) == (
        "p.yaml: --set edge.low: there is no stage 'edge', did you mean 'edges'? "
        "(there are: resize, edges, more, lines)"
    )


def test_another_source() -> None:
    config = parse(TEXT, override=Override(sources={"yard": "synthetic:?frames=3"}))
    assert config.cameras["yard"].open_source().uri == "synthetic:?frames=3"
    assert config.cameras["door"].open_source().uri == "webcam:0"


def test_the_only_camera_needs_no_name(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("cameras: {cam: {source: 'webcam:0', queue_size: 3}}")
    config = load(path, override=Override(sources={"": "synthetic:"}))
    assert config.cameras["cam"].source.uri == "synthetic:"
    assert config.cameras["cam"].queue_size == 3


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ({"": "webcam:0"}, "--source: which camera? (there are: door, yard)"),
        ({"dor": "webcam:0"}, "there is no camera 'dor', did you mean 'door'?"),
        ({"door": "webcm:0"}, "cameras.door.source (--source): source 'webcm:0': there is no sch"),
    ],
)
def test_sources_that_do_not_fit(sources: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(TEXT, override=Override(sources=sources))
    assert says in str(caught.value)
