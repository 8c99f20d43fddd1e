"""Keep credentials out of messages, logs, metrics and pages.

Hidden are: user and password of a URL, however odd the password; secret values in queries, in
``name=value`` text, in JSON and in YAML; Azure's connection strings and shared access signatures;
authorization headers, bearer tokens and private keys. Where it cannot be told whether something is
a secret, it is hidden: a message may become less helpful, and never tells too much.
"""

from __future__ import annotations

import re

__all__ = ["HIDDEN", "hide", "redact", "redact_url"]

HIDDEN = "***"
"""What stands where a credential was."""

# Names that are those of a secret wherever they stand.
_SECRET = (
    r"(?:pass(?:word|wd|phrase|wrd)|pwd|user-pw|loginpas|secret|token|credentials?|signature"
    r"|(?:api|access|account|primary|secondary|symmetric|private|subscription|shared ?access)"
    r"[_-]?key|sharedaccesssignature)"
)
# Names that are also ordinary words, and belong to credentials inside of a query or a path only.
_IN_QUERY = r"(?:user(?:name)?|usr|login(?:use)?|pass|psw|pw|auth|sig|key|code)"
_QUOTED = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
# A reference such as ${PASSWORD} shows no secret, and helps.
_NO_REFERENCE = r"(?!['\"]?\$\{)"

_URL = re.compile(r"(?<=\w)://(?P<rest>[^\s\"<>]+)")
_WHOLE_URL = re.compile(r"(?<=\w)://(?P<rest>.+)", re.DOTALL)
_PORT = re.compile(r"[^:]*:\d{1,5}|\[[^\[\]]*\](:\d{1,5})?")

_HIDE_VALUE = [
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        rf"(?P<key>{_SECRET}\s*=\s*){_NO_REFERENCE}(?:{_QUOTED}|[^\s&;'\"]+)",
        rf"(?P<key>[?&;/]{_IN_QUERY}=){_NO_REFERENCE}[^\s&;'\"]+",
        rf"(?P<key>{_SECRET}['\"]\s*:\s*){_NO_REFERENCE}(?:{_QUOTED}|[^\s,}}\]]+)",
        rf"(?P<key>^[ \t]*(?:- +)*[\w-]*{_SECRET}[ \t]*:[ \t]+){_NO_REFERENCE}\S[^\r\n]*",
        r"(?P<key>SharedAccessSignature )sr=\S*",
        r"(?P<key>\b(?:Proxy-)?Authorization['\"]?\s*[:=]\s*)\S[^\r\n]*",
        r"(?P<key>\b(?:Set-)?Cookie:\s*)\S[^\r\n]*",
        r"(?P<key>-key:[ \t]+)\S+",
        r"(?P<key>\bBearer\s+)(?=[\w.~+/=-]*[\d.])[\w.~+/=-]{8,}",
        r"(?P<key>(?<![\w-]))eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?",
        r"(?P<key>-----BEGIN [A-Z ]*PRIVATE KEY-----)[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
    )
]


# Values that are secret wherever they stand, the longest first; replaced as a whole, never changed
# in place, since any thread may be reading it.
_known: tuple[tuple[str, str], ...] = ()
_SHORTEST = 8


def hide(value: str, shown: str = HIDDEN) -> None:
    """Hide a secret in whatever is redacted from now on, wherever it stands.

    A token in the path of a URL looks like any other word, so whoever reads one from a secret says
    so here. Values of less than 8 characters are left alone: they are parts of ordinary words.

    Args:
        value: the secret.
        shown: what stands in its place, such as ``${secret:token}``.
    """
    global _known
    if len(value) >= _SHORTEST:
        others = {**dict(_known), value: shown}
        _known = tuple(sorted(others.items(), key=lambda item: -len(item[0])))


def redact(text: str) -> str:
    """Return ``text`` with the credentials in it hidden."""
    for value, shown in _known:
        text = text.replace(value, shown)
    text = _URL.sub(_hide_user, text)
    for pattern in _HIDE_VALUE:
        text = pattern.sub(rf"\g<key>{HIDDEN}", text)
    return text


def redact_url(url: str) -> str:
    """Return a URL or a device path without user name, password or secret query values.

    Unlike `redact` it takes all of ``url`` as one URL, so that a password with spaces or quotes is
    hidden too.
    """
    return redact(_WHOLE_URL.sub(_hide_user, url, count=1))


def _hide_user(match: re.Match[str]) -> str:
    """Hide what stands before the last '@', if that is a user and a password.

    People paste passwords without encoding them. So it may hold '@', '/', '?' and '#', which end
    the host otherwise.
    """
    rest = match["rest"]
    _, at, after = rest.rpartition("@")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    is_host = "@" not in host and (":" not in host or _PORT.fullmatch(host))
    if not at or is_host:
        return match[0]
    return f"://{HIDDEN}@{after}"
