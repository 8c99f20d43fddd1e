"""The built-in stages by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgevision import ConfigurationError, Stage, stages
from tests.unit.stages.given import given


@pytest.mark.parametrize("name", stages.BUILT_IN)
def test_each_name_loads_a_documented_stage(name: str) -> None:
    kind = stages.load(name)
    assert issubclass(kind, Stage)
    assert kind.__name__.lower() == name
    assert getattr(stages, kind.__name__) is kind
    assert kind.__doc__
    assert "Algorithm: " in kind.__doc__
    for spec in kind.parameters().values():
        assert spec.help, f"{name}.{spec.name} has no help"
    assert kind(**given(name)).settings().keys() == kind.parameters().keys()


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"'motoin', did you mean 'motion'\?.*resize"):
        stages.load("motoin")
    with pytest.raises(AttributeError, match="Motoin"):
        stages.Motoin  # noqa: B018


def test_the_registry_imports_no_stage() -> None:
    code = "import sys, edgevision.stages; print([m for m in sys.modules if 'stages.' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
