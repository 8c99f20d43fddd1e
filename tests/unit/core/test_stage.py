"""The stage class: what is checked when it is made, and how its parameters behave."""

from __future__ import annotations

import enum
import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest

from edgevision import DropFrame, Frame, Param, Stage
from edgevision.errors import ParamError

if TYPE_CHECKING:
    from decimal import Decimal


class Zoom(Stage):
    """For the tests below."""

    factor: float = Param(2, gt=0, le=8, unit="x", help="how much larger")
    zones: list[list[int]] = Param([[1, 2]])
    label: str = Param()

    def process(self, frame: Frame) -> None:
        frame.values["factor"] = self.factor


def nothing(self: Any, frame: Any) -> None:
    """Do nothing, as ``process`` of classes made in tests."""


def make(body: dict[str, Any], *bases: type) -> Any:
    """Return a class called Made."""
    return type("Made", bases or (Stage,), {"process": nothing, "__module__": __name__, **body})


def test_parameters_are_read_as_attributes() -> None:
    zoom = Zoom(label="a", factor=3)
    assert (zoom.factor, zoom.label, zoom.zones) == (3.0, "a", [[1, 2]])
    assert zoom.settings() == {"factor": 3.0, "zones": [[1, 2]], "label": "a"}
    assert list(Zoom.parameters()) == ["factor", "zones", "label"]
    assert Zoom.factor.__doc__ == "how much larger (float > 0, <= 8 x, default 2.0)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "stage Zoom needs the parameter 'label'"),
        ({"label": "a", "factor": 9}, "stage Zoom: parameter factor must be float > 0, <= 8 x"),
        ({"label": "a", "facter": 3}, "stage Zoom has no parameter 'facter', did you mean 'factor'?"
                                      " (it has: factor, zones, label)"),
        ({"label": "a", "name": "x"}, "stage Zoom has no parameter 'name'"),
    ],
)  # fmt: skip
def test_bad_parameters_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamError) as caught:
        Zoom(**arguments)
    assert str(caught.value).startswith(message)


def test_parameters_are_given_by_name() -> None:
    with pytest.raises(ParamError, match=r"by name, got 1 by position \(frames go through"):
        make({})(3)


def test_assignment_is_checked() -> None:
    zoom = Zoom(label="a")
    zoom.factor = 3
    assert zoom.settings()["factor"] == 3.0
    with pytest.raises(ParamError, match="got -1"):
        zoom.factor = -1
    assert zoom.factor == 3.0


def test_a_default_is_not_shared() -> None:
    one, other = Zoom(label="a"), Zoom(label="b")
    one.zones[0].append(3)
    one.zones.append([])
    assert other.zones == [[1, 2]]
    assert Zoom(label="c").zones == [[1, 2]]
    given = [[5]]
    third = Zoom(label="d", zones=given)
    given[0].append(6)
    assert third.zones == [[5]]


def test_configure_sets_all_or_nothing() -> None:
    zoom = Zoom(label="a")
    assert zoom.configure({"factor": 3, "label": "a"}) == {"factor"}
    assert zoom.configure({"factor": 3.0}) == frozenset()
    with pytest.raises(ParamError, match="zones must be"):
        zoom.configure({"factor": 4, "zones": 1})
    with pytest.raises(ParamError, match="did you mean 'label'"):
        zoom.configure({"factor": 4, "lable": "x"})
    assert zoom.settings() == {"factor": 3.0, "zones": [[1, 2]], "label": "a"}


def test_parameters_are_inherited_and_overridden() -> None:
    class Base(Stage, abstract=True):
        size: int = Param(3, ge=1)
        kind: str = Param("a")

    class Child(Base):
        size: int = Param(5, ge=2)
        more: bool = Param(False)

        def process(self, frame: Frame) -> None: ...

    class Grandchild(Child):
        kind = "fixed"

    class Sibling(Grandchild):
        pass

    assert list(Child.parameters()) == ["size", "kind", "more"]
    assert Child().settings() == {"size": 5, "kind": "a", "more": False}
    with pytest.raises(ParamError, match="stage Child: parameter size must be int >= 2, got 1"):
        Child(size=1)
    # A message names the class that the user wrote, not the one that declared the parameter.
    with pytest.raises(ParamError, match="stage Child: parameter kind must be str, got 3"):
        Child(kind=3)
    child = Child()
    with pytest.raises(ParamError, match="stage Child: parameter kind must be str, got 3"):
        child.kind = 3  # type: ignore[assignment]
    # A plain value fixes an inherited parameter, for the classes below too.
    for fixed in (Grandchild, Sibling):
        assert list(fixed.parameters()) == ["size", "more"]
        assert fixed().kind == "fixed"
        with pytest.raises(ParamError, match="has no parameter 'kind'"):
            fixed(kind="b")


def test_two_bases_give_their_parameters_both() -> None:
    class A(Stage, abstract=True):
        x: int = Param(1)
        both: int = Param(1)

    class B(Stage, abstract=True):
        y: int = Param(2)
        both: int = Param(2)

    class C(A, B):
        def process(self, frame: Frame) -> None: ...

    assert C().settings() == {"both": 1, "y": 2, "x": 1}


def test_an_init_of_its_own_needs_no_super() -> None:
    class Plain(Stage):
        size: int = Param(3)

        def __init__(self, model: str, *, scale: float = 1.0) -> None:
            self.seen = (model, scale, self.size)

        def process(self, frame: Frame) -> None: ...

    assert Plain("m").seen == ("m", 1.0, 3)
    made: Any = Plain
    assert made(model="m", size=5).seen == ("m", 1.0, 5)
    assert made("m", size=5, scale=2.0).settings() == {"size": 5}
    with pytest.raises(ParamError, match="size must be int"):
        made("m", size="5")
    with pytest.raises(TypeError, match="unexpected keyword argument 'sise'"):
        made("m", sise=5)
    with pytest.raises(TypeError, match="model"):
        made(size=5)


def test_an_init_of_its_own_may_call_super() -> None:
    class WithSuper(Stage):
        size: int = Param(3)

        def __init__(self, model: str = "m", **params: Any) -> None:
            super().__init__(**params)
            self.model = model
            self.given = params

        def process(self, frame: Frame) -> None: ...

    class Below(WithSuper):
        def __init__(self) -> None:
            super().__init__("b")

    stage = WithSuper("x", size=4)
    assert (stage.model, stage.size, stage.given) == ("x", 4, {"size": 4})
    below: Any = Below
    assert (below(size=9).size, below(size=9).model) == (9, "b")


def test_an_init_may_ask_for_a_parameter_itself() -> None:
    class Asks(Stage):
        size: int = Param(3)

        def __init__(self, size: int = 0) -> None:
            self.seen = (size, self.size)

        def process(self, frame: Frame) -> None: ...

    assert Asks(size=5).seen == (5, 5)
    assert Asks().seen == (0, 3)


Choice = Literal["a", "b"]


def test_types_as_text_and_local_types() -> None:
    class Side(enum.Enum):
        LEFT = "left"

    local_type = Literal["x", "y"]

    class Uses(Stage):
        side: Side = Param("left")
        local: local_type | None = Param(None)
        choice: Choice = Param("a")

        def process(self, frame: Frame) -> None: ...

    stage = Uses(local="y")
    assert stage.side is Side.LEFT
    assert stage.local == "y"
    with pytest.raises(ParamError, match=r"must be 'x' \| 'y' \| null"):
        Uses(local="z")


def test_a_type_for_type_checkers_only_is_refused_where_it_matters() -> None:
    class Fine(Stage):
        helper: Decimal | None = None

        def process(self, frame: Frame) -> None: ...

    with pytest.raises(
        TypeError, match=r"Bad\.x: the type 'Decimal' is not known in module .*type checkers only"
    ):

        class Bad(Stage):
            x: Decimal = Param(3)

            def process(self, frame: Frame) -> None: ...


def test_a_param_needs_a_type() -> None:
    with pytest.raises(TypeError, match=r"^Made\.size = Param\(\.\.\.\) needs a type: write"):
        make({"size": Param(3)})


@pytest.mark.parametrize("name", ["name", "camera", "configure", "settings", "start", "process"])
def test_names_of_the_base_class_are_taken(name: str) -> None:
    body = {name: Param(3), "__annotations__": {name: int}}
    with pytest.raises(TypeError, match=rf"Made\.{name}"):
        make(body)


@pytest.mark.parametrize("name", ["configure", "parameters", "settings"])
def test_methods_of_the_base_class_are_not_replaced(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^Made\.{name}: this name is taken by Stage itself$"):
        make({name: nothing})


def test_a_class_may_name_itself() -> None:
    assert make({"name": "door"})().name == "door"
    with pytest.raises(TypeError, match=r"Made\.name must be text, got function"):
        make({"name": nothing})


def test_a_mixin_that_is_no_stage_cannot_have_a_param() -> None:
    class Mixin:
        size: int = Param(3)

    with pytest.raises(TypeError, match=r"^Mixin\.size: only a Stage can have a Param; derive"):
        make({}, Mixin, Stage)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("proces", "process"), ("prcoess", "process"), ("processs", "process"),
        ("Process", "process"), ("on_frame", "process"), ("process_frame", "process"),
        ("sart", "start"), ("strat", "start"), ("starts", "start"), ("setup", "start"),
        ("on_start", "start"), ("stopp", "stop"), ("teardown", "stop"), ("cleanup", "stop"),
        ("change", "changed"), ("on_changed", "changed"),
    ],
)  # fmt: skip
def test_a_misspelt_hook_is_found(wrong: str, meant: str) -> None:
    with pytest.raises(TypeError) as caught:
        make({wrong: nothing})
    said = str(caught.value)
    assert said.startswith(f"Made.{wrong} would never be called: did you mean {meant!r}?")
    assert "(the hooks are start, process, stop, changed; a helper of your own may start" in said


@pytest.mark.parametrize(
    "name", ["_setup", "preprocess", "load", "reset", "crop", "shape", "track"]
)
def test_helpers_are_left_alone(name: str) -> None:
    make({name: nothing})


def test_a_misspelt_hook_of_a_mixin_is_found() -> None:
    class Mixin:
        def strat(self) -> None: ...

    with pytest.raises(TypeError, match=r"Mixin\.strat would never be called"):
        make({}, Mixin, Stage)


def test_a_mixin_may_bring_a_hook() -> None:
    class Mixin:
        def process(self, frame: Frame) -> None:
            frame.values["mixin"] = 1

    class Made(Mixin, Stage):
        pass

    Made()

    class Hidden:
        def process(self, one: int, two: int) -> None: ...

    # What is never called need not fit.
    make({}, Mixin, Hidden, Stage)()

    class Bad:
        def process(self) -> None: ...

    with pytest.raises(TypeError, match=r"^Bad\.process\(self\).* must be process\(self, frame\)"):
        type("Made", (Bad, Stage), {})


@pytest.mark.parametrize(
    ("name", "hook", "wanted"),
    [
        ("process", lambda self: None, r"Made\.process\(self\) must be process\(self, frame\)"),
        ("process", lambda self, a, b: None, r"process\(self, a, b\) must be"),
        ("process", lambda self, frame, *, k: None, r"process\(self, frame, \*, k\) must be"),
        ("start", lambda: None, r"start\(\) must be start\(self\)"),
        ("start", lambda self, frame: None, r"start\(self, frame\) must be start\(self\)"),
        ("stop", lambda self, x: None, r"must be stop\(self\)"),
        ("changed", lambda self: None, r"must be changed\(self, names\)"),
    ],
)
def test_a_hook_of_the_wrong_arity_is_found(
    name: str, hook: Callable[..., None], wanted: str
) -> None:
    with pytest.raises(TypeError, match=wanted):
        make({name: hook})


@pytest.mark.parametrize(
    "hook",
    [lambda self, frame, more=3: None, lambda self, *frames: None, lambda *args, **kwargs: None],
)
def test_a_hook_may_take_more(hook: Callable[..., None]) -> None:
    make({"process": hook})


@pytest.mark.parametrize(
    ("hook", "kind"),
    [
        (3, "int"), (None, "NoneType"), (staticmethod(nothing), "staticmethod"),
        (classmethod(nothing), "classmethod"), (property(lambda self: None), "property"),
        (Zoom, "type"),
    ],
)  # fmt: skip
def test_a_hook_must_be_a_method(hook: Any, kind: str) -> None:
    with pytest.raises(
        TypeError, match=rf"Made\.process must be a method process\(self, frame\), it is a {kind}"
    ):
        make({"process": hook})


def test_a_decorated_hook_is_a_method() -> None:
    @functools.wraps(nothing)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        nothing(*args, **kwargs)

    make({"process": wrapped})


@pytest.mark.parametrize("name", ["process", "start", "stop", "changed"])
def test_a_generator_is_no_hook(name: str) -> None:
    def plain(self: Any, *args: Any) -> Any:
        yield

    async def later(self: Any, *args: Any) -> Any:
        yield

    for hook in (plain, later):
        with pytest.raises(TypeError, match=rf"Made\.{name} is a generator \(it has a yield\)"):
            make({name: hook})


def test_a_stage_without_process_must_say_so() -> None:
    with pytest.raises(TypeError, match=r"Made must define process\(self, frame\), or be declared"):
        type("Made", (Stage,), {})

    class Base(Stage, abstract=True):
        pass

    for abstract in (Base, Stage):
        with pytest.raises(TypeError, match=f"{abstract.__name__} is abstract: subclass it"):
            abstract()
    with pytest.raises(TypeError, match="Below must define process"):
        type("Below", (Base,), {})


def test_instances_share_nothing_across_threads() -> None:
    made: list[Stage] = []

    def create() -> None:
        for number in range(1, 200):
            stage = Zoom(label=threading.current_thread().name, factor=number % 8 + 1)
            stage.zones.append([number])
            made.append(stage)
            assert stage.zones == [[1, 2], [number]]

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4 * 199


@pytest.mark.parametrize(
    ("reason", "kept"),
    [((), "dropped"), (("",), "dropped"), (("too dark",), "too dark"), ((3,), "3")],
)
def test_drop_frame_has_a_reason(reason: tuple[Any, ...], kept: str) -> None:
    drop = DropFrame(*reason)
    assert drop.reason == str(drop) == kept
    assert len(DropFrame("x" * 1000).reason) == 80
