"""Tell upstream when something begins and ends to move, beside the built-in motion stage."""

from edgevision import Frame, Param, Stage


class Alarm(Stage):
    """Publish an event when motion begins and when it has been over for a while."""

    quiet_s: float = Param(2.0, ge=0, unit="s", help="motion is over after so long without any")

    def start(self) -> None:
        self.moving = False
        self.last_s = 0.0

    def process(self, frame: Frame) -> None:
        if len(frame.detections):
            self.last_s = frame.captured_at_s
        moving = self.last_s > 0 and frame.captured_at_s - self.last_s <= self.quiet_s
        if moving != self.moving:
            self.moving = moving
            frame.publish("alarm", {"moving": moving, "blobs": len(frame.detections)})
        frame.values["moving"] = moving
