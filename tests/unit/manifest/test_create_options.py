"""createOptions: cut, joined and refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.deploy.manifest.create_options import CHUNK, MAX_CHUNKS, chunked, joined
from edgevision.errors import ConfigurationError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5)
    ),
    max_leaves=40,
)


@given(st.dictionaries(st.text(min_size=1, max_size=20), JSON, min_size=1, max_size=20))
def test_what_is_cut_is_joined_again(options: dict[str, Any]) -> None:
    pieces = chunked(options)
    assert all(len(piece) <= CHUNK for piece in pieces.values())
    assert joined({"image": "i", **pieces}) == options


def test_no_options_take_no_setting() -> None:
    assert chunked({}) == {}
    assert joined({"image": "i"}) == {}
    assert joined({"image": "i", "createOptions": ""}) == {}


def test_pieces_are_numbered() -> None:
    pieces = chunked({"a": "x" * (2 * CHUNK)})
    assert list(pieces) == ["createOptions", "createOptions01", "createOptions02"]


def test_more_than_edge_agent_reads_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=f"more than the {CHUNK * MAX_CHUNKS}"):
        chunked({"a": "x" * (CHUNK * MAX_CHUNKS)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"createOptions": "{", "createOptions02": "}"}, "createOptions01 is missing"),
        ({"createOptions01": "{}"}, "createOptions is missing"),
        ({"createOptions": "{", "createOptions1": "}"}, "createOptions1: pieces are called"),
        ({"createOptions00": "{}"}, "the first piece is called createOptions"),
        ({"createOptions": {"HostConfig": {}}}, "must be text that holds JSON"),
        ({"createOptions": "x" * 513}, "513 characters, more than 512"),
        ({"createOptions": '{"a": }'}, "no JSON: Expecting value at character 6"),
        ({"createOptions": "[1]"}, "must be a JSON object"),
    ],
)
def test_what_edge_agent_cannot_read_is_said(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        joined(settings)
    assert message in str(caught.value)
