"""Where an archive is, and how to be let in."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from medview.core.errors import InputError, NotTrustedError
from medview.core.text import Text

if TYPE_CHECKING:
    import ssl

_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
"""PS3.5, VR AE: up to 16 characters of ASCII without backslash and control characters."""
_LAST_PORT = 65535


class Kind(StrEnum):
    """How an archive speaks: DICOM's own protocol (DIMSE), or DICOMweb."""

    DIMSE = "dimse"
    DICOMWEB = "dicomweb"


class Address(BaseModel):
    """One archive. Secrets are shown as stars wherever a record is printed or logged.

    Attributes:
        name: What the reader calls it.
        kind: How it speaks.
        host: DIMSE: name or number of the machine.
        port: DIMSE: its port.
        called_ae: DIMSE: the archive's AE title.
        calling_ae: DIMSE: the AE title under which the archive knows this workstation.
        receive_port: DIMSE: where this workstation listens while an archive that cannot do C-GET sends (C-MOVE).
        tls: DIMSE: whether the connection is encrypted.
        url: DICOMweb: the service's root, as "https://host/dicom-web".
        user: DICOMweb: a name for basic authentication.
        password: Its password.
        token: DICOMweb: a bearer token, instead of name and password.
        ca_file: Certificates to trust (PEM) instead of the system's.
        certificate_file: This workstation's own certificate (PEM), where the archive asks for one.
        key_file: Its private key (PEM); empty when it is in the same file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind = Kind.DIMSE
    host: str = ""
    port: int = 104
    called_ae: str = ""
    calling_ae: str = "MEDVIEW"
    receive_port: int = 11112
    tls: bool = False
    url: str = ""
    user: str = ""
    password: SecretStr = SecretStr("")
    token: SecretStr = SecretStr("")
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    @property
    def place(self) -> str:
        """Where it is, in one line: "PACS@host:104", or the URL."""
        return self.url if self.kind is Kind.DICOMWEB else f"{self.called_ae}@{self.host}:{self.port}"

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted."""
        return self.tls if self.kind is Kind.DIMSE else self.url.lower().startswith("https:")

    def require(self) -> Address:
        """The address itself, when it can be one.

        Raises:
            InputError: Something is missing or impossible.
        """
        if not self.name.strip():
            raise InputError("The archive needs a name.", "Give it the name by which you know it.")
        if self.kind is Kind.DIMSE:
            self._require_dimse()
        else:
            self._require_dicomweb()
        for file in (self.ca_file, self.certificate_file, self.key_file):
            if file and not Path(file).expanduser().is_file():
                raise InputError(Text.of("There is no file {file}.", file=file), "Choose the certificate again.")
        if self.key_file and not self.certificate_file:
            raise InputError("A private key was given without its certificate.", "Choose the certificate, too.")
        return self

    def _require_dimse(self) -> None:
        if not self.host.strip() or any(letter in self.host for letter in " /@"):
            raise InputError(
                "The archive's host is missing or is no host.", "Give the name or the number of the machine."
            )
        for port in (self.port, self.receive_port):
            if not 0 < port <= _LAST_PORT:
                raise InputError(Text.of("{port} is no port.", port=port), "Ports are numbers from 1 to 65535.")
        for title in (self.called_ae, self.calling_ae):
            if not _AE_TITLE.fullmatch(title) or not title.strip():
                raise InputError(
                    Text.of("'{title}' is no AE title.", title=title),
                    "An AE title has 1 to 16 letters, digits or signs, and no backslash.",
                )

    def _require_dicomweb(self) -> None:
        try:
            parts = urlsplit(self.url)
            is_root = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            is_root = False
        if not is_root:
            raise InputError(
                Text.of("'{url}' is no address of a DICOMweb service.", url=self.url),
                "It begins with http:// or https://, as https://host/dicom-web.",
            )
        if parts.username or parts.password:
            raise InputError(
                "Name and password do not belong into the URL.", "Put them into their own fields, which are not logged."
            )
        if self.token.get_secret_value() and self.user:
            raise InputError("There are a user's name and a token.", "Give one of the two.")

    def client_tls(self) -> ssl.SSLContext:
        """How to make an encrypted connection to the archive: its certificate must be trusted and bear its name.

        Raises:
            NotTrustedError: A certificate or key of the address cannot be used.
        """
        import ssl  # a list of archives is shown without it

        try:
            context = ssl.create_default_context(cafile=_file(self.ca_file))
            if self.certificate_file:
                context.load_cert_chain(_file(self.certificate_file) or "", _file(self.key_file), _no_passphrase)
        except (OSError, ValueError) as error:
            raise _unusable(error) from error
        return context

    def server_tls(self) -> ssl.SSLContext | None:
        """How to be the other end, where the archive connects to this workstation; None: not encrypted.

        Raises:
            NotTrustedError: The certificate or key cannot be used.
        """
        if not self.tls or not self.certificate_file:
            return None
        import ssl

        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=_file(self.ca_file))
            context.load_cert_chain(_file(self.certificate_file) or "", _file(self.key_file), _no_passphrase)
        except (OSError, ValueError) as error:
            raise _unusable(error) from error
        if self.ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _file(path: str) -> str | None:
    return str(Path(path).expanduser()) if path else None


def _no_passphrase() -> str:
    # Without this OpenSSL would ask the terminal.
    raise ValueError("the private key is protected by a passphrase")


def _unusable(error: Exception) -> NotTrustedError:
    return NotTrustedError(
        Text.of("The certificates of this archive cannot be used: {reason}.", reason=str(error)),
        "Choose PEM files: certificates to trust, and a private key without passphrase that fits its certificate.",
    )
