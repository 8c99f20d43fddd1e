"""A file of lines holds whole lines only: crashes, full disks, rotation, other people's hands."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgevision.errors import ConfigurationError, UpstreamError
from edgevision.upstream.lines_file import LinesFile
from tests.unit.upstream.helpers import fill


def line(number: int, size: int = 40) -> bytes:
    """A JSON document of exactly ``size`` bytes, 1 less than its line."""
    head = b'{"n":%d,"t":"' % number
    return head + b"x" * (size - 2 - len(head)) + b'"}'


def numbers(path: Path) -> list[int]:
    data = path.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(text)["n"] for text in data.splitlines()]


@contextmanager
def opened(
    path: Path, max_bytes: int = 10_000, keep: int = 3, fsync: bool = False
) -> Iterator[LinesFile]:
    file = LinesFile(path, max_bytes=max_bytes, keep=keep, fsync=fsync)
    file.open()
    try:
        yield file
    finally:
        file.close()


def put(file: LinesFile, *several: int, size: int = 40) -> None:
    assert file.append([line(number, size) for number in several]) == (len(several), None)


def test_appends_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "results.jsonl"
    for number in (1, 2):
        with opened(path) as file:
            put(file, number)
    assert numbers(path) == [1, 2]


def test_lines_can_be_read_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with opened(path) as file:
        put(file, 1, 2)
        assert numbers(path) == [1, 2]


# --- the end that a crash left --------------------------------------------------------------------


@pytest.mark.parametrize(
    "fragment",
    [b"{", line(3)[:-1], b'{"t":"' + b"x" * 200_000, b'{"n":3' + b"\0" * 70_000, b"\0" * 100],
)
def test_a_line_that_was_cut_off_is_set_aside(tmp_path: Path, fragment: bytes) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(line(1) + b"\n" + line(2) + b"\n" + fragment)
    with opened(path) as file:
        put(file, 4)
    assert numbers(path) == [1, 2, 4]
    assert (tmp_path / "results.jsonl.torn").read_bytes() == fragment + b"\n"


def test_a_file_of_nothing_but_a_cut_line_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"n":')
    with opened(path) as file:
        put(file, 1)
    assert numbers(path) == [1]


def test_a_whole_document_without_its_line_break_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(line(1) + b"\n" + line(2))
    with opened(path) as file:
        put(file, 3)
    assert numbers(path) == [1, 2, 3]
    assert not (tmp_path / "results.jsonl.torn").exists()


@pytest.mark.parametrize(
    "content", [b"import cv2", b"line\n  {", b"\xff\xd8\xff\xe0 picture", b"x" * 100_000]
)
def test_a_file_of_someone_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is no file of JSON lines"), opened(path):
        pass
    assert path.read_bytes() == content


def test_a_long_file_without_line_breaks_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.touch()
    os.truncate(path, 20 * 1024 * 1024)  # sparse
    with pytest.raises(ConfigurationError, match="hold no line break"), opened(path):
        pass
    assert path.stat().st_size == 20 * 1024 * 1024


def test_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    code = (
        "import sys\n"
        "from edgevision.upstream.lines_file import LinesFile\n"
        "file = LinesFile(sys.argv[1], max_bytes=10**9, keep=1)\n"
        "file.open()\n"
        "print(flush=True)\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    file.append([b'{\"n\":%d,\"t\":\"' % n + b'x' * 50_000 + b'\"}'])\n"
    )
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            while path.stat().st_size < 1_000_000:
                assert child.poll() is None
            child.kill()
        with opened(path):
            found = numbers(path)
        assert found == list(range(1, len(found) + 1))
        path.unlink()


# --- rotation -------------------------------------------------------------------------------------


def test_rotates_before_it_is_too_large_and_keeps_some(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with opened(path, max_bytes=41 * 3, keep=2) as file:
        put(file, *range(1, 12))
    assert numbers(path) == [10, 11]
    assert numbers(Path(f"{path}.1")) == [7, 8, 9]
    assert numbers(Path(f"{path}.2")) == [4, 5, 6]
    assert sorted(os.listdir(tmp_path)) == [
        *("results.jsonl", "results.jsonl.1", "results.jsonl.2"),
    ]


@pytest.mark.parametrize(("max_bytes", "first"), [(41 * 3 - 1, [1, 2]), (41 * 3, [1, 2, 3])])
def test_the_limit_is_exact(tmp_path: Path, max_bytes: int, first: list[int]) -> None:
    path = tmp_path / "results.jsonl"
    with opened(path, max_bytes=max_bytes) as file:
        put(file, 1, 2, 3, 4)
    assert numbers(Path(f"{path}.1")) == first
    assert Path(f"{path}.1").stat().st_size <= max_bytes


def test_keeps_none_when_told_so(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with opened(path, max_bytes=41 * 2, keep=0, fsync=True) as file:
        for number in range(1, 6):
            put(file, number)
    assert numbers(path) == [5]
    assert os.listdir(tmp_path) == ["results.jsonl"]


def test_a_line_too_long_for_any_file_has_one_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with opened(path, max_bytes=100, keep=5) as file:
        put(file, 1)
        put(file, 2, size=500)
        put(file, 3)
    assert numbers(path) == [3]
    assert numbers(Path(f"{path}.1")) == [2]
    assert numbers(Path(f"{path}.2")) == [1]


def test_a_file_that_is_too_large_already_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(line(1, 500) + b"\n")
    with opened(path, max_bytes=100) as file:
        put(file, 2)
    assert numbers(path) == [2]
    assert numbers(Path(f"{path}.1")) == [1]


def test_a_rotation_that_fails_again_and_again_pushes_nothing_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.jsonl"
    for number in (1, 2, 3):
        Path(f"{path}.{number}").write_bytes(line(number) + b"\n")
    rename = os.replace

    def refuse(old: Path, new: Path) -> None:
        if old == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        rename(old, new)

    with opened(path, max_bytes=41, keep=4) as file:
        put(file, 9)
        with monkeypatch.context() as patch:
            patch.setattr("os.replace", refuse)
            for _ in range(5):
                taken, error = file.append([line(10)])
                assert taken == 0
                assert error is not None
                assert error.retryable
        put(file, 10)
    kept = [numbers(Path(f"{path}.{number}")) for number in (1, 2, 3, 4)]
    assert kept == [[9], [1], [2], [3]]
    assert numbers(path) == [10]


def test_a_path_that_becomes_a_folder_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with opened(path) as file:
        put(file, 1)
        path.unlink()
        path.mkdir()
        for _ in range(2):
            taken, error = file.append([line(2)])
            assert taken == 0
            assert error is not None
            assert error.retryable
        path.rmdir()
        put(file, 2)
    assert numbers(path) == [2]


def test_a_rotation_in_a_folder_that_went_away_makes_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "out" / "results.jsonl"
    with opened(path) as file:
        put(file, 1)
        shutil.rmtree(path.parent)
        put(file, 2)
    assert numbers(path) == [2]


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_someone_else_rotates_it(tmp_path: Path, how: str) -> None:
    path, aside = tmp_path / "results.jsonl", tmp_path / "old"
    with opened(path) as file:
        put(file, 1)
        path.rename(aside) if how == "moved" else path.unlink()
        put(file, 2)
    assert numbers(path) == [2]


# --- full disks -----------------------------------------------------------------------------------


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Make writes beyond ``size`` bytes of any file fail as on a full disk, in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_half_way_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with opened(path) as file:
        with file_size_limit(100):
            taken, error = file.append([line(number) for number in range(1, 6)])
            again, _ = file.append([line(number) for number in range(3, 6)])
        assert (taken, again) == (2, 0)
        assert error is not None
        assert error.retryable
        assert str(path) in str(error)
        assert isinstance(error.__cause__, OSError)
        assert error.__cause__.errno == errno.EFBIG
        assert numbers(path) == [1, 2]
        put(file, 3, 4, 5)
    assert numbers(path) == [1, 2, 3, 4, 5]


@pytest.mark.needs("small-disk")
def test_a_full_disk_loses_nothing_that_was_taken(small_disk: Path) -> None:
    path, ballast = small_disk / "results.jsonl", small_disk / "ballast"
    ballast.write_bytes(b"x" * 32_768)
    batch = [line(number, 1000) for number in range(1, 101)]
    with opened(path, max_bytes=20_000, keep=100, fsync=True) as file:
        taken, error = file.append(batch)
        assert 0 < taken < 100
        assert isinstance(error, UpstreamError)
        assert error.retryable
        assert "No space left" in str(error)
        assert file.append(batch[taken:])[0] == 0
        for old in sorted(small_disk.glob("*.jsonl*")):
            numbers(old)
        held = [number for old in small_disk.glob("*.jsonl*") for number in numbers(old)]
        assert sorted(held) == list(range(1, taken + 1))
        ballast.unlink()
        more, _ = file.append(batch[taken : taken + 20])
        assert more == 20
    held = [number for old in small_disk.glob("*.jsonl*") for number in numbers(old)]
    assert sorted(held) == list(range(1, taken + 21))


@pytest.mark.needs("small-disk")
def test_opening_on_a_full_disk_can_be_tried_again(small_disk: Path) -> None:
    path = small_disk / "results.jsonl"
    path.write_bytes(line(1) + b"\n" + line(2)[:-1])  # the cut line has nowhere to go
    fill(small_disk)
    file = LinesFile(path, max_bytes=10_000, keep=1)
    for _ in range(2):
        with pytest.raises(UpstreamError, match="No space left") as caught:
            file.open()
        assert caught.value.retryable
    assert path.read_bytes() == line(1) + b"\n" + line(2)[:-1]
    (small_disk / "ballast").unlink()
    file.open()
    put(file, 3)
    file.close()
    assert numbers(path) == [1, 3]


# --- paths that never work ------------------------------------------------------------------------


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with (
        pytest.raises(ConfigurationError, match=r"results\.jsonl cannot be written"),
        opened(tmp_path / "out" / "results.jsonl"),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "Is a directory"),
        ("\0", "embedded null byte"),
        ("x" * 300, "File name too long"),
        ("pipe", "is no regular file"),
    ],
)
def test_a_path_that_is_no_file(tmp_path: Path, name: str, reason: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match=reason), opened(tmp_path / name):
        pass


@pytest.mark.parametrize("path", ["/dev/full", "/proc/self/results.jsonl"])
def test_a_path_where_no_file_can_be(path: str) -> None:
    with pytest.raises(ConfigurationError, match=path), opened(Path(path)):
        pass


def test_a_folder_without_permission(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from edgevision.upstream.lines_file import LinesFile\n"
        "if os.getuid() == 0:\n"
        "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "LinesFile(sys.argv[1], max_bytes=1000, keep=1).open()\n"
    )
    tmp_path.chmod(0o555)
    path = tmp_path / "results.jsonl"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert "cannot be written: Permission denied" in done.stderr


def test_two_writers_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with (
        opened(path),
        pytest.raises(ConfigurationError, match="being written by someone else"),
        opened(path),
    ):
        pass
    with opened(path):
        pass
