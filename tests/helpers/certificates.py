"""A CA of the tests, and certificates that it signs, as files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import trustme

YESTERDAY = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=1)


class Authority:
    """A CA.

    Args:
        folder: for the files.

    Attributes:
        file: its certificate.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def sign(self, name: str, not_after: dt.datetime | None = None) -> Path:
        """Make a certificate for the name or address of a host; its private key is in the same file."""
        path = self._folder / f"{name}{'' if not_after is None else '-expired'}.pem"
        signed = self._ca.issue_cert(name, not_after=not_after)
        signed.private_key_and_cert_chain_pem.write_to_path(path)
        return path
