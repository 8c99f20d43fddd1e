"""The tutorial's stage: boxes around what moves."""

from edgevision import Frame, Param, Stage, cv


class Movement(Stage):
    """Boxes around what moves."""

    min_area: int = Param(400, ge=1, unit="px", help="smaller blobs are noise")

    def start(self) -> None:
        self.background = cv.createBackgroundSubtractorMOG2(detectShadows=False)

    def process(self, frame: Frame) -> None:
        mask = self.background.apply(cv.GaussianBlur(frame.image, (5, 5), 0))
        if frame.sequence > 15:  # the first frames teach what the empty scene looks like
            frame.detect_blobs(mask, min_area=self.min_area, label="movement")
