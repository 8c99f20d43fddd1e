"""A stage that sees the frames of several cameras at once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edgevision.batch import registry
from edgevision.batch.group import Group
from edgevision.batch.membership import BatchStatistics, Member
from edgevision.param import Param
from edgevision.stage import DropFrame, Stage
from edgevision.type_hint import signature_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgevision.frame import Frame

__all__ = ["BatchStage"]

_SHARED_HOOKS = ("start", "stop")
_OURS = frozenset({"batches", "drop", "finish", "live_parameters", "make_shared", "of", "shared"})


class BatchStage(Stage, abstract=True):
    """A stage that sees the frames of several cameras at once. Write ``process_batch``.

    ::

        class Classify(BatchStage):
            \"\"\"Says what each picture shows.\"\"\"

            model: Path = Param(live=False)
            least: float = Param(0.5, ge=0, le=1, help="confidence")

            def start(self) -> None:
                self.net = cv2.dnn.readNetFromONNX(str(self.model))

            def process_batch(self, frames: Sequence[Frame]) -> None:
                self.net.setInput(cv2.dnn.blobFromImages([f.image for f in frames], size=(64, 64)))
                for frame, scores in zip(frames, self.net.forward()):
                    if scores.max() >= self.of(frame).least:
                        frame.values["class"] = int(scores.argmax())

    All cameras of a process whose stage has this class, this name and the same values of the
    parameters that are not live share one instance, made for that. Its hooks:

    - ``start(self)``: before the first frame of the first camera.
    - ``process_batch(self, frames)``: change the frames and return None. There are 1 to
      ``batch_size`` of them, one for each camera, those that have waited longest first; they may
      differ in size. It runs on the worker thread of one of the cameras, never on two at once.
    - ``stop(self)``: after the last camera has left, exactly once for each ``start``.

    Each camera has, as of any stage, an instance of its own, which holds its parameters and state:
    ``self.of(frame)``. So live parameters, which may differ from camera to camera, are read as
    ``self.of(frame).least``, those with ``live=False`` as ``self.model``; ``changed(self, names)``
    runs on the camera's own instance, and once with all live parameters when the camera starts; it
    finds the shared one in ``self.shared``.

    A batch begins when it is full: when it has ``batch_size`` frames, or one of each camera. A
    frame waits ``deadline_ms`` at most for others to come; one whose camera is alone waits for
    nobody. A camera that has missed eight batches in a row is not waited for until it is back.
    While a batch runs, frames gather for the next one, the oldest first. A frame that has not come
    back after 30 s is given up with a TimeoutError, which counts as an error of its camera.

    `finish` leaves the rest of a frame's work to its camera's thread, and `drop` drops one frame of
    the batch. When ``process_batch`` raises, the frames are put back as
    they were (all but pixels that were changed in place) and it is called once more for each
    alone, so that only the camera whose frame is to blame has an error (or, for DropFrame, a drop).

    What `edgevision.cv` makes in ``process_batch`` belongs to the batch, until all its frames have
    been released; on CUDA it runs on a stream that waits for those of the cameras.

    There is no ``__init__``, since the shared instance is made of the parameters alone, and no
    ``async def``.
    """

    batch_size: int = Param(8, ge=1, le=256, live=False, help="the most frames in one batch")
    deadline_ms: float = Param(
        5.0, ge=0, le=1000, live=False, unit="ms", help="a frame waits so long for others"
    )

    _group: Group | None = None  # of the shared instance
    _member: Member | None = None  # of a camera's instance, while it is started

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(abstract=abstract, **kwargs)
        _check(cls, abstract=abstract)
        for name in _SHARED_HOOKS:
            hook = getattr(cls, name)
            if not getattr(hook, "_is_for_both", False):
                setattr(cls, name, _for_both(hook, getattr(BatchStage, name)))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            parameter = name.removeprefix("_param_")
            if parameter in type(self).__params__:
                raise AttributeError(
                    f"{type(self).__name__}.{parameter} may differ from camera to camera: read "
                    f"self.of(frame).{parameter}, or declare it with live=False"
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def process_batch(self, frames: Sequence[Frame]) -> None:
        """Change the frames and return None; to be written by the subclass."""
        raise TypeError(f"{type(self).__name__} must define process_batch(self, frames)")

    def start(self) -> Any:
        """Prepare before the first frame; runs once for all cameras. The default does nothing."""
        if self._group is not None:
            return
        self._member = registry.join(self)
        self.changed(frozenset(self.live_parameters()))

    def stop(self) -> Any:
        """Give back what ``start`` took; runs once for all cameras. The default does nothing."""
        if self._group is not None:
            return
        member, self._member = self._member, None
        if member is not None:
            registry.leave(member)

    start._is_for_both = True  # type: ignore[attr-defined]
    stop._is_for_both = True  # type: ignore[attr-defined]

    def process(self, frame: Frame) -> Any:
        """Send the frame through a batch, on its camera's worker thread. Not to be overridden."""
        member = self._member
        if member is None:
            raise TypeError(
                f"{type(self).__name__}.process was called without start: frames go through a "
                "pipeline"
            )
        return member.group.process(member, frame)

    def of(self, frame: Frame) -> Self:
        """Return the own instance of the camera that the frame comes from; in ``process_batch``.

        Raises:
            ValueError: the frame is none of the batch.
        """
        return self._shared_group("of").ticket(frame).member.stage  # type: ignore[return-value]

    def drop(self, frame: Frame, reason: str = "dropped") -> None:
        """Drop one frame of the batch, as DropFrame does; in ``process_batch``.

        Args:
            frame: one of those given to ``process_batch``.
            reason: a few fixed words, since drops are counted by it.

        Raises:
            ValueError: the frame is none of the batch.
        """
        self._shared_group("drop").ticket(frame).drop = DropFrame(reason).reason

    def finish(self, frame: Frame, rest: Callable[[], object]) -> None:
        """Leave the rest of a frame's work to its camera's own thread; in ``process_batch``.

        There it runs right after the batch, beside that of the other cameras and the next batch,
        which pays where a frame's own part takes long. It must not change the shared instance.

        Args:
            frame: one of those given to ``process_batch``.
            rest: called once without arguments; what it raises is an error of this camera alone.

        Raises:
            ValueError: the frame is none of the batch.
        """
        self._shared_group("finish").ticket(frame).rest = rest

    @property
    def shared(self) -> Self:
        """The instance that runs the batches, while this one's camera is started."""
        if self._group is not None:
            return self
        if self._member is None:
            raise AttributeError(f"{type(self).__name__}.shared is there between start and stop")
        return self._member.group.shared  # type: ignore[return-value]

    @property
    def batches(self) -> BatchStatistics:
        """What the shared instance has done for all its cameras; from any thread."""
        member = self._member
        group = self._group or (None if member is None else member.group)
        return BatchStatistics() if group is None else group.statistics()

    @classmethod
    def live_parameters(cls) -> frozenset[str]:
        """Return the names of the parameters that may differ from camera to camera."""
        return frozenset(name for name, spec in cls.__params__.items() if spec.live)

    def make_shared(self, group: Group) -> BatchStage:
        """Return a new instance with these settings, to run the batches of ``group``."""
        shared = type(self)(**self.settings())
        shared.name = self.name
        shared._group = group
        for name in self.live_parameters():
            del shared.__dict__[f"_param_{name}"]
        return shared

    def _shared_group(self, what: str) -> Group:
        if self._group is None:
            raise ValueError(f"{type(self).__name__}.{what} can be called in process_batch only")
        return self._group


def _for_both(hook: Callable[[Any], Any], ours: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let a hook that a subclass writes run on the shared instance, and ours on a camera's."""

    @functools.wraps(hook)
    def call(self: BatchStage) -> Any:
        return hook(self) if self._group is not None else ours(self)

    call._is_for_both = True  # type: ignore[attr-defined]
    return call


def _check(cls: type[BatchStage], *, abstract: bool) -> None:
    """Refuse what a batch stage cannot have.

    Raises:
        TypeError: names class and method.
    """
    name = cls.__name__
    if cls.process is not BatchStage.process:
        raise TypeError(f"{name}.process: a BatchStage writes process_batch(self, frames) instead")
    if cls.__init__ is not Stage.__init__:
        raise TypeError(
            f"{name}.__init__: the shared instance of a BatchStage is made of its parameters; "
            "declare settings with Param and prepare in start"
        )
    for owner in cls.__mro__:
        if owner in BatchStage.__mro__:
            continue
        for taken in sorted(_OURS & set(vars(owner))):
            raise TypeError(f"{owner.__name__}.{taken}: this name is taken by BatchStage itself")
    for hook in ("start", "process_batch", "stop", "changed"):
        method = inspect.unwrap(getattr(cls, hook))
        if inspect.iscoroutinefunction(method):
            raise TypeError(f"{name}.{hook} is async: a BatchStage has no async def hooks")
    method = cls.process_batch
    if method is BatchStage.process_batch:
        if abstract:
            return
        raise TypeError(f"{name} must define process_batch(self, frames)")
    if inspect.isgeneratorfunction(method):
        raise TypeError(f"{name}.process_batch is a generator (it has a yield): it would never run")
    try:
        signature_of(method).bind(object(), object())
    except TypeError:
        raise TypeError(
            f"{name}.process_batch{signature_of(method)} must be process_batch(self, frames)"
        ) from None
