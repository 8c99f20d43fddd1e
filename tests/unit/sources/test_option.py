"""Options are converted by the signature of what they are for."""

from typing import Annotated, Any, Literal

import pytest

from edgevision.errors import ConfigurationError
from edgevision.sources.option import Bounds, Size, bind


class Camera:
    def __init__(
        self,
        address: str,
        *,
        size_wh: Size | None = None,
        fps: Annotated[float, Bounds(0.5, 240)] = 30.0,
        buffers: Annotated[int, Bounds(1, 8)] | None = None,
        loop: bool = False,
        fourcc: str | None = None,
        transport: Literal["tcp", "udp"] = "tcp",
    ) -> None: ...


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("size_wh", "1280x720", (1280, 720)),
        ("size_wh", "1280X720", (1280, 720)),
        ("size_wh", [640, 480], (640, 480)),
        ("size_wh", (640, 480), (640, 480)),
        ("size_wh", None, None),
        ("fps", "29.97", 29.97),
        ("fps", 25, 25.0),
        ("fps", 0.5, 0.5),
        ("fps", 240, 240.0),
        ("buffers", "4", 4),
        ("buffers", 1, 1),
        ("buffers", None, None),
        ("loop", "1", True),
        ("loop", 1, True),
        ("loop", "yes", True),
        ("loop", "True", True),
        ("loop", "off", False),
        ("loop", 0, False),
        ("loop", False, False),
        ("fourcc", "MJPG", "MJPG"),
        ("transport", "udp", "udp"),
    ],
)
def test_values_are_converted(name: str, given: object, value: object) -> None:
    bound = bind(Camera, {name: given}, "here")
    assert bound == {name: value}
    assert type(bound[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("size_wh", "1280", "a size such as 1280x720, each side from 16 to 16384"),
        ("size_wh", "1280x8", "from 16 to 16384"),
        ("size_wh", [1280], "a size"),
        ("size_wh", [1280.5, 720], "a size"),
        ("fps", "fast", "a number from 0.5 to 240"),
        ("fps", 0.4, "a number from 0.5 to 240"),
        ("fps", 241, "a number from 0.5 to 240"),
        ("fps", True, "a number"),
        ("fps", "nan", "a number"),
        ("fps", "inf", "a number"),
        ("fps", None, "a number"),
        ("buffers", "4.5", "a whole number from 1 to 8"),
        ("buffers", 4.0, "a whole number"),
        ("buffers", True, "a whole number"),
        ("buffers", 0, "from 1 to 8"),
        ("loop", "maybe", "true or false"),
        ("loop", 2, "true or false"),
        ("loop", None, "true or false"),
        ("fourcc", 5, "text"),
        ("transport", "tpc", "'tcp' or 'udp'"),
    ],
)
def test_wrong_values_are_named(name: str, given: object, wanted: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bind(Camera, {name: given}, "camera 'door'")
    text = str(caught.value)
    assert text.startswith(f"camera 'door': option {name!r} must be ")
    assert wanted in text
    assert repr(given) in text


def test_unknown_options_are_named_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError) as caught:
        bind(Camera, {"tranport": "udp"}, "here")
    text = str(caught.value)
    assert "there is no option 'tranport', did you mean 'transport'?" in text
    assert "there are: size_wh, fps, buffers, loop, fourcc, transport" in text


def test_the_address_is_no_option() -> None:
    with pytest.raises(ConfigurationError, match="no option 'address'"):
        bind(Camera, {"address": "x"}, "here")


def test_a_function_without_options_says_so() -> None:
    with pytest.raises(ConfigurationError, match=r"no option 'fps' \(there are none\)"):
        bind(lambda address: None, {"fps": 1}, "here")


def test_a_factory_that_takes_anything_gets_it_unchanged() -> None:
    def factory(**options: Any) -> None: ...

    assert bind(factory, {"people": "3"}, "here") == {"people": "3"}
