"""What a card does that does not take edgevision's own kernels."""

from __future__ import annotations

import cv2
import pytest

from edgevision import cv
from edgevision.cuda import cuda_stream, open_stream
from edgevision.cuda.kernel import Kernels
from edgevision.cv.gpu import morphology, native
from edgevision.errors import CudaUnsupportedError
from tests.gpu.parity import device
from tests.unit.cv.pictures import Pictures


@pytest.fixture(autouse=True)
def _refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the driver code that it does not take."""
    refused = Kernels(ptx=b".version 6.3\n.target sm_75\nno code")
    monkeypatch.setattr(native, "kernels", lambda: refused)
    monkeypatch.setattr(morphology, "_plans", morphology.Plans())
    assert not native.usable()


def test_cv2s_own_filters_give_the_same_result() -> None:
    image = Pictures("8U", 1, (131, 67)).noise()
    mat = device(image, region=True)
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    rectangle = cv2.getStructuringElement(cv2.MORPH_RECT, (7, 5))
    with cuda_stream.use(open_stream()) as stream:
        assert stream is not None
        for operation in (cv2.MORPH_OPEN, cv2.MORPH_GRADIENT, cv2.MORPH_BLACKHAT):
            for kernel in (ellipse, rectangle):
                got = cv.morphologyEx(mat, operation, kernel)
                stream.waitForCompletion()
                assert (got.download() == cv2.morphologyEx(image, operation, kernel)).all()
        got = cv.medianBlur(mat, 5)
        stream.waitForCompletion()
        assert (got.download() == cv2.medianBlur(image, 5)).all()


def test_what_only_the_kernels_do_is_refused() -> None:
    mat = device(Pictures("8U", 3, (53, 37)).noise(), region=False)
    with pytest.raises(CudaUnsupportedError, match="INTER_CUBIC"):
        cv.resize(mat, (99, 77), interpolation=cv2.INTER_CUBIC)
    with pytest.raises(CudaUnsupportedError, match=r"7\.5"):
        cv.connectedComponents(device(Pictures().mask(), region=False))
