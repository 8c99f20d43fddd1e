"""Keep credentials out of messages, logs, metrics and pages."""

from __future__ import annotations

import re

__all__ = ["HIDDEN", "redact", "redact_url"]

HIDDEN = "***"
"""What stands where a credential was."""

# user:password@ of any URL. The password may hold '@' (people paste them raw), so the last '@'
# before the path, a space or a quote ends the credentials.
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s'\"?#]+@")
_QUERY = re.compile(
    r"(?P<key>[?&;](?:[\w-]*(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|auth)"
    r"|user(?:name)?|sig|key|pass))=[^&\s'\";]*",
    re.IGNORECASE,
)
# Azure connection strings and shared access signatures.
_AZURE = re.compile(r"(?P<key>SharedAccessKey|SharedAccessSignature|AccountKey)=[^;\s'\"]*", re.I)
_SAS = re.compile(r"(?P<key>SharedAccessSignature )sr=\S*", re.I)


def redact(text: str) -> str:
    """Return ``text`` with the credentials of URLs, queries and connection strings hidden."""
    text = _USERINFO.sub(rf"\g<scheme>{HIDDEN}@", text)
    text = _QUERY.sub(rf"\g<key>={HIDDEN}", text)
    text = _AZURE.sub(rf"\g<key>={HIDDEN}", text)
    return _SAS.sub(rf"\g<key>{HIDDEN}", text)


def redact_url(url: str) -> str:
    """Return a URL or a device path without user name, password or secret query values."""
    return redact(url)
