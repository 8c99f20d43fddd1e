"""Names of classes from a file, a list and the model itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevision import ConfigurationError
from edgevision.inference.labels import class_labels


def test_a_file_has_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffperson\r\n parking meter \nköfferchen\n\n\n".encode())
    assert class_labels(path, 3, {}) == ["person", "parking meter", "köfferchen"]


def test_a_list_and_what_the_model_brings() -> None:
    names = {"names": "{0: 'person', 1: \"cat's\"}"}
    assert class_labels(["a", "b"], 2, names) == ["a", "b"]
    assert class_labels(None, 2, names) == ["person", "cat's"]


@pytest.mark.parametrize(
    "names",
    ["", "person", "{1: 'a', 2: 'b'}", "{0: 'a'}", "['a', 'b']", "__import__('os')", "(" * 999],
)
def test_without_names_the_numbers_serve(names: str) -> None:
    assert class_labels(None, 2, {"names": names}) == ["0", "1"]


def test_a_wrong_number_of_labels_is_told(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("person\ncat\n")
    with pytest.raises(
        ConfigurationError, match=r"each of the model's 3 classes, there are 2"
    ) as e:
        class_labels(path, 3, {})
    assert (e.value.file, e.value.line) == (str(path), 2)
    with pytest.raises(ConfigurationError, match=r"3 classes, there are 1"):
        class_labels(["person"], 3, {})


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent.txt' cannot be read: No such file"):
        class_labels(tmp_path / "absent.txt", 3, {})
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"caf\xe9\n")
    with pytest.raises(ConfigurationError, match="are no UTF-8 text"):
        class_labels(bad, 1, {})
    bad.write_text("person\n\ncat\n")
    with pytest.raises(ConfigurationError, match=r"bad.txt:2: a class has no name"):
        class_labels(bad, 3, {})
