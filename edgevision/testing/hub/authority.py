"""Certificates for a hub on this machine, made anew for each run."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

from edgevision.errors import ConfigurationError

__all__ = ["Authority"]


class Authority:
    """A certificate authority of one run; its key is never written to a lasting file.

    Raises:
        ConfigurationError: trustme, which makes the certificates, is not installed.
    """

    def __init__(self) -> None:
        try:
            import trustme
        except ImportError as error:
            raise ConfigurationError(
                "the stand-in hub needs trustme, which makes its certificates: "
                "pip install 'edgevision[testing]'"
            ) from error
        self._authority: Any = trustme.CA()

    @property
    def pem(self) -> str:
        """The certificate that a client must trust, as PEM text."""
        return str(self._authority.cert_pem.bytes().decode())

    def server_context(self, names: Sequence[str]) -> ssl.SSLContext:
        """Return what a server needs: TLS 1.2 or newer, a certificate for ``names``.

        Args:
            names: host names and IP addresses.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._authority.issue_cert(*names).configure_cert(context)
        return context

    def key_and_chain(self, names: Sequence[str]) -> bytes:
        """Return a private key and certificates for ``names`` as PEM, for another server."""
        return bytes(self._authority.issue_cert(*names).private_key_and_cert_chain_pem.bytes())
