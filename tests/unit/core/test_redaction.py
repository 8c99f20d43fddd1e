"""No credential gets through, and ordinary text does."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.redaction import HIDDEN, redact, redact_url


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        # URLs, with passwords as people paste them.
        ("rtsp://user:secret@host/live", "rtsp://***@host/live"),
        ("rtsp://user:p@ss@host/live", "rtsp://***@host/live"),
        ("rtsp://user:pa/ss@host:554/live", "rtsp://***@host:554/live"),
        ("rtsp://user:pa?ss#1@host/live", "rtsp://***@host/live"),
        ("rtsp://user:it's@host/live", "rtsp://***@host/live"),
        ("rtsp://user@host/live", "rtsp://***@host/live"),
        ("https://ghp_Token1@host/a.git", "https://***@host/a.git"),
        ("rtsp://user:pw@[fe80::1]:554/live", "rtsp://***@[fe80::1]:554/live"),
        ("cam_3rtsp://u:pw@h/x", "cam_3rtsp://***@h/x"),
        ('cannot open "rtsp://u:pw@h/x": refused', 'cannot open "rtsp://***@h/x": refused'),
        ("from rtsp://a:1@h/x to http://b:2@k/y", "from rtsp://***@h/x to http://***@k/y"),
        # Queries and the paths that some cameras use as one.
        ("http://h/v?user=admin&password=abc&x=1", "http://h/v?user=***&password=***&x=1"),
        ("http://h/v?key=abc&api_key=def", "http://h/v?key=***&api_key=***"),
        ("https://h/f?code=abc&sig=d%2Be&se=1", "https://h/f?code=***&sig=***&se=1"),
        ("http://h/v?loginuse=admin&loginpas=abc", "http://h/v?loginuse=***&loginpas=***"),
        (
            "rtsp://h:554/user=admin&password=&channel=1",
            "rtsp://h:554/user=***&password=&channel=1",
        ),
        ("rtsp://h/user=admin_password=tlJwp_channel=1.sdp", "rtsp://h/user=***"),
        # name=value, JSON and YAML.
        (
            "rtspsrc user-id=bob user-pw=abc ! fakesink",
            "rtspsrc user-id=bob user-pw=*** ! fakesink",
        ),
        ("connect(password='a b', port=1)", "connect(password=***, port=1)"),
        ('{"password": "a, b", "port": 1}', '{"password": ***, "port": 1}'),
        ("{'clientSecret': 'x', 'port': 1}", "{'clientSecret': ***, 'port': 1}"),
        ('{"token":12345,"a":[{"pwd":"x"}]}', '{"token":***,"a":[{"pwd":***}]}'),
        (
            "cameras:\n  door:\n    password: a b\n    port: 1",
            "cameras:\n  door:\n    password: ***\n    port: 1",
        ),
        ("- token: abc", "- token: ***"),
        # Azure.
        (
            "HostName=h;DeviceId=d;SharedAccessKey=a+b/c=",
            "HostName=h;DeviceId=d;SharedAccessKey=***",
        ),
        (
            "SharedAccessKeyName=owner;SharedAccessKey=abc=;x=1",
            "SharedAccessKeyName=owner;SharedAccessKey=***;x=1",
        ),
        ("AccountName=n;AccountKey=abc==;E=core", "AccountName=n;AccountKey=***;E=core"),
        ("SharedAccessSignature sr=h&sig=abc&se=1 refused", "SharedAccessSignature *** refused"),
        ('"primaryKey": "abc="', '"primaryKey": ***'),
        # Headers and tokens.
        ("Authorization: Basic YTpi\r\nHost: h", "Authorization: ***\r\nHost: h"),
        ("authorization: Digest username=a, response=b", "authorization: ***"),
        ("sent Bearer abcdef.0123456 to h", "sent Bearer *** to h"),
        ("Ocp-Apim-Subscription-Key: abc", "Ocp-Apim-Subscription-Key: ***"),
        ("Set-Cookie: session=abc; Path=/", "Set-Cookie: ***"),
        ("token eyJhbGciOiJI.eyJzdWIiOiIx.abc_-d expired", "token *** expired"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nrest",
            "-----BEGIN RSA PRIVATE KEY-----***\nrest",
        ),
    ],
)
def test_credentials_are_hidden(text: str, hidden: str) -> None:
    assert redact(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "unknown key=3, did you mean key_frame=3?",
        "mail someone@example.com about http://host:8080/page",
        "http://host:8080/live@main",
        "http://[fe80::1%eth0]:8080/live@main",
        "http://host/?width=640&fps=30",
        "file:///home/me@site/video.mp4",
        "webcam:0?width=640",
        "Basic information and Bearer authentication",
        "wrong password: 401 Unauthorized",
        "max_tokens=100 passwords=3",
        "password: ${PASSWORD}",
        "token=${secret:TOKEN}",
        "the passage took 3 s; secretary: Bob",
        "monkey: 3",
        "C:\\videos\\a.mp4",
        "",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text
    assert redact_url(text) == text


_PASSWORD = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters='"<>'), min_size=1
).filter(lambda text: not text[0].isdigit() and not any(map(str.isspace, text)))


@given(password=_PASSWORD, host=st.from_regex(r"[a-z]{1,8}(\.[a-z]{2,3})?", fullmatch=True))
def test_any_password_in_a_sentence_is_hidden(password: str, host: str) -> None:
    url = f"rtsp://admin:{password}@{host}:554/live"
    assert redact(f"cannot open {url} now") == f"cannot open rtsp://***@{host}:554/live now"


@given(password=st.text(min_size=1).filter(lambda text: not text[0].isdigit()))
def test_any_password_in_a_url_is_hidden(password: str) -> None:
    assert redact_url(f"rtsp://admin:{password}@host:554/live") == "rtsp://***@host:554/live"


@given(password=st.text(min_size=1), name=st.sampled_from(["password", "token", "client_secret"]))
def test_any_value_in_json_is_hidden(password: str, name: str) -> None:
    text = json.dumps({"before": 1, name: password, "after": 2})
    assert redact(text) == f'{{"before": 1, "{name}": {HIDDEN}, "after": 2}}'


_PIECES = ["rtsp://", "u:p@", "@", "/", "?", "key=", "password", "=", ":", "'", '"', "a1", "***"]
_PIECES += ["${", "}", "sig=", "&", "-----BEGIN", "Bearer", " ", "\n"]


@given(st.lists(st.sampled_from(_PIECES)).map("".join))
def test_what_is_hidden_stays_as_it_is(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "a-",
        "password",
        "://",
        "eyJ",
        "'",
        "password='",
        " ",
        "@",
        "-----BEGIN PRIVATE KEY-----",
        "Bearer ",
        "a:b@",
        '"token":',
    ],
)
def test_long_text_takes_linear_time(part: str) -> None:
    def seconds(size: int) -> float:
        text = part * (size // len(part))
        begun = time.perf_counter()
        redact(text)
        return time.perf_counter() - begun

    seconds(10_000)
    # Quadratic time would make it 256 times as long.
    assert seconds(320_000) < 64 * max(seconds(20_000), 0.001)
