"""Log lines as IoT Edge's agent reads them."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Iterator

import pytest

from edgevision import ConfigurationError
from edgevision.harness.log import EdgeFormatter, read_level, set_level, start_logging

# As the agent splits a line.
LINE = re.compile(r"<(\d)> \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d\d:\d\d (.*)")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("edgevision")
    chatty = [logging.getLogger(name) for name in ("azure", "paho", "aiohttp", "asyncio")]
    before = (root.level, own.level, list(root.handlers), [each.level for each in chatty])
    yield
    logging.captureWarnings(False)
    root.setLevel(before[0])
    own.setLevel(before[1])
    root.handlers[:] = before[2]
    for logger, level in zip(chatty, before[3], strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("level", "number"),
    [("CRITICAL", 2), ("ERROR", 3), ("WARNING", 4), ("INFO", 6), ("DEBUG", 7)],
)
def test_a_line_has_the_level_of_syslog(level: str, number: int) -> None:
    record = logging.LogRecord("edgevision.x", getattr(logging, level), "", 1, "a %s", ("b",), None)
    record.created = 1795518431.1239
    text = EdgeFormatter().format(record)
    assert text == f"<{number}> 2026-11-24 11:07:11.123 +00:00 [edgevision.x] a b"
    assert LINE.fullmatch(text)


def test_a_record_is_one_line_whatever_is_in_it() -> None:
    try:
        raise ValueError("one\r\ntwo rtsp://user:hunter22@10.0.0.1/x")
    except ValueError:
        info = sys.exc_info()
    record = logging.LogRecord("edgevision", logging.ERROR, "", 1, "broke\n\n  twice", (), info)
    text = EdgeFormatter().format(record)
    assert len(text.splitlines()) == 1
    assert " broke | twice | Traceback" in text
    assert text.endswith("ValueError: one | two rtsp://***@10.0.0.1/x")
    match = LINE.fullmatch(text)
    assert match is not None
    assert match[1] == "3"


@pytest.mark.parametrize(
    ("word", "level"),
    [("debug", "debug"), ("Information", "info"), ("Verbose", "debug"), ("fatal", "critical")],
)
def test_the_words_of_the_agent(word: str, level: str) -> None:
    assert read_level(word) == level


def test_a_wrong_word_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'warning'"):
        read_level("warnin")
    stream = io.StringIO()
    assert start_logging({"RuntimeLogLevel": "loud"}, stream) == "info"
    assert "RuntimeLogLevel must be one of critical" in stream.getvalue()


def test_the_level_is_that_of_the_agent_and_others_are_quiet() -> None:
    stream = io.StringIO()
    assert start_logging({"RuntimeLogLevel": "debug"}, stream) == "debug"
    logging.getLogger("edgevision.x").debug("seen")
    logging.getLogger("azure.iot").info("not seen")
    logging.getLogger("azure.iot").warning("told")
    set_level("error")
    logging.getLogger("edgevision.x").warning("not seen any more")
    lines = stream.getvalue().splitlines()
    assert [line.split("] ")[1] for line in lines] == ["seen", "told"]
