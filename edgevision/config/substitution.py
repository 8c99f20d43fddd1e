"""``${NAME}`` in text values: environment variables and secret files.

Substitution happens after the YAML has been read, inside single values, so a secret that holds a
colon, a quote or a line of YAML can change no other part of the document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from edgevision import redaction
from edgevision.config.node import Node, nodes
from edgevision.config.problems import Problems
from edgevision.config.scalar import AmbiguousNumberError, resolve
from edgevision.redaction import redact
from edgevision.suggestion import did_you_mean

__all__ = ["Substitution", "as_number"]

_PATTERN = re.compile(r"(?P<escape>\$\$\{)|\$\{(?P<body>[^}]*)\}|\$\{")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(:-(?P<default>.*))?", re.DOTALL)
_SECRET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_MAX_SECRET_BYTES = 64 * 1024
_SECRETS_FOLDER = "/run/secrets"
_FORMS = "${NAME}, ${NAME:-default}, ${secret:NAME} or ${file:PATH}; $${ stands for ${"
_SECRET_FORMS = ("${secret:", "${file:")
_SECRET_NAME = re.compile(r"\$\{\w*(PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|AUTH|SAS)", re.IGNORECASE)
# Shorter values are likely to be part of ordinary words, so hiding them would garble messages.
_HIDDEN_FROM = 4


class _BadReferenceError(ValueError):
    """A substitution that cannot be made."""


class Substitution:
    """Replaces the substitutions of a document and hides their values in messages.

    Args:
        environment: environment variables.
        folder: what a relative path in ``${file:...}`` is relative to.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._secrets = Path(environment.get("EDGEVISION_SECRETS") or _SECRETS_FOLDER)
        self._written_by_value: dict[str, str] = {}

    def apply(self, root: Node, problems: Problems) -> None:
        """Substitute in all text values of the tree; keys are left alone."""
        for node in nodes(root):
            text = node.value
            if not isinstance(text, str) or "${" not in text:
                continue
            try:
                value = self._expand(text)
            except _BadReferenceError as error:
                problems.add(str(error), line=node.line)
                node.refused = True
                continue
            if value != text:
                node.value, node.written = value, text
                match = _PATTERN.fullmatch(text)
                node.whole = match is not None and match["body"] is not None

    def hide(self, text: str) -> str:
        """Return ``text`` with every substituted value replaced by what stands in the document."""
        for value in sorted(self._written_by_value, key=len, reverse=True):
            text = text.replace(value, self._written_by_value[value])
        return text

    def _expand(self, text: str) -> str:
        parts, end = [], 0
        for match in _PATTERN.finditer(text):
            parts.append(text[end : match.start()])
            end = match.end()
            if match["escape"]:
                parts.append("${")
                continue
            if match["body"] is None:
                raise _BadReferenceError(f"the '${{' in {redact(text)!r} has no '}}'")
            value = self._value(match["body"])
            self._remember(value, match[0])
            if _in_credentials(text, match.start(), match.end()):
                value = quote(value, safe="")
                self._remember(value, match[0])
            parts.append(value)
        parts.append(text[end:])
        return "".join(parts)

    def _remember(self, value: str, written: str) -> None:
        if len(value) >= _HIDDEN_FROM:
            self._written_by_value[value] = written
        # What runs later prints addresses, too: sources, upstreams, stages.
        if written.startswith(_SECRET_FORMS) or _SECRET_NAME.search(written):
            redaction.hide(value, written)

    def _value(self, body: str) -> str:
        kind, colon, rest = body.partition(":")
        if colon and kind == "secret":
            if not _SECRET.fullmatch(rest):
                raise _BadReferenceError(
                    f"${{{body}}}: a secret is a file's name without '/' (a path: ${{file:...}})"
                )
            return self._read(self._secrets / rest, body)
        if colon and kind == "file":
            if not rest:
                raise _BadReferenceError("${file:} has no path")
            return self._read(self._folder / rest, body)
        match = _VARIABLE.fullmatch(body)
        if not match:
            raise _BadReferenceError(f"${{{body}}} is no substitution: write {_FORMS}")
        name, default = match["name"], match["default"]
        if default is not None and "${" in default:
            raise _BadReferenceError(f"${{{name}:-...}}: a default cannot hold a substitution")
        value = self._environment.get(name)
        if value is None or (default is not None and not value):
            value = default
        if value is None:
            near = did_you_mean(name, self._environment)
            raise _BadReferenceError(
                f"${{{name}}}: the environment variable {name} is not set{near} "
                f"(a default is written ${{{name}:-...}})"
            )
        if not value.isprintable() and any("\udc80" <= c <= "\udcff" for c in value):
            raise _BadReferenceError(f"${{{name}}}: the environment variable {name} is not UTF-8")
        return value

    def _read(self, path: Path, body: str) -> str:
        """Return a secret file's text without the newline that editors put at its end."""
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_SECRET_BYTES + 1)
        except OSError as error:
            hint = ""
            if isinstance(error, FileNotFoundError) and body.startswith("secret:"):
                hint = " (EDGEVISION_SECRETS names the folder of the secrets)"
            reason = error.strerror or type(error).__name__
            raise _BadReferenceError(f"${{{body}}}: {path}: {reason}{hint}") from error
        if len(content) > _MAX_SECRET_BYTES:
            raise _BadReferenceError(f"${{{body}}}: {path} is larger than 64 KB")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _BadReferenceError(f"${{{body}}}: {path} is not UTF-8 text") from error
        text = text.removesuffix("\n").removesuffix("\r")
        # An upstream's header or a command line would be split by it.
        if "\0" in text:
            raise _BadReferenceError(f"${{{body}}}: {path} holds a zero byte")
        return text


def _in_credentials(text: str, start: int, end: int) -> bool:
    """Say whether ``text[start:end]`` stands between '://' and '@' of a URL.

    There it is percent-encoded, since '@', '/', '#' and '%' in a password would end it.
    """
    before, after = text[:start], text[end:]
    scheme = re.search(r"[A-Za-z][A-Za-z0-9+.-]*://", before)
    if not scheme:
        return False
    inside = _PATTERN.sub("", before[scheme.end() :])
    rest = re.match(r"[^/?#\s]*", _PATTERN.sub("", after))
    return not re.search(r"[/?#\s]", inside) and rest is not None and "@" in rest[0]


def as_number(node: Node) -> bool:
    """Read a substitution that is a whole value as a number, truth value or null, if it is one.

    Returns:
        True if the node's value was changed.
    """
    if not node.whole or not isinstance(node.value, str):
        return False
    try:
        value = resolve(node.value)
    except AmbiguousNumberError:
        return False
    if isinstance(value, str):
        return False
    node.value = value
    return True
