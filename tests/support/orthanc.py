"""A real Orthanc on free ports of this machine, in a folder of its own, with DICOMweb and, if wanted, TLS.

Where Orthanc or its DICOMweb plugin is not installed (Debian: orthanc, orthanc-dicomweb), tests that ask for it skip.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from medview.network.address import Address, Kind
from tests.support.wire import Wire, wire

TITLE = "ORTHANC"
USER, PASSWORD = "radiologist", "Zw€i Wörter"
_START_S = 30.0
_PROGRAMS = (Path("/usr/sbin/Orthanc"), Path("/usr/local/sbin/Orthanc"))
_PLUGINS = (Path("/usr/share/orthanc/plugins"), Path("/usr/local/share/orthanc/plugins"))


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Certificates:
    """An authority, and a certificate for 127.0.0.1 that it has signed; all PEM."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path, host: str = "IP:127.0.0.1,DNS:localhost") -> Certificates:
    """Make them with openssl, as somebody would who sets an archive up."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    names = folder / "names.txt"
    names.write_text(f"subjectAltName={host}\nextendedKeyUsage=serverAuth,clientAuth\n")

    def call(*arguments: str) -> None:
        subprocess.run([str(program), *arguments], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    call("req", "-x509", *new, "-days", "2", "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem")
    call("req", *new, "-subj", "/CN=archive", "-keyout", "server.key", "-out", "server.csr")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", str(names), "-days", "2")
    call("x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")
    return Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")


@dataclass
class Orthanc:
    """A running Orthanc."""

    folder: Path
    program: Path
    plugin: Path
    tls: Certificates | None = None
    options: dict[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)
    receive_port: int = field(default_factory=free_port)
    front: Wire | None = None
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with what it held before, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "orthanc.json"
        settings.write_text(json.dumps(self._settings()))
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen([str(self.program), str(settings)], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_S
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log.txt").read_text()[-2000:]
            assert time.monotonic() < deadline, "Orthanc does not start"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def rest(self, path: str, body: bytes | None = None, method: str = "") -> Any:
        """Orthanc's own interface, which is neither DIMSE nor DICOMweb: the truth about what it holds."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.web_port}{path}", data=body)
        if method:
            request.method = method
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            content = answer.read()
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return json.loads(content) if is_json else content

    def put(self, *paths: Path) -> None:
        """Put files in by its own interface."""
        for path in paths:
            self.rest("/instances", path.read_bytes())

    def clear(self) -> None:
        """Throw everything away that it holds."""
        for one in self.rest("/patients"):
            self.rest(f"/patients/{one}", method="DELETE")

    def held(self) -> dict[str, str]:
        """SOP Instance UID -> Orthanc's own name of each instance."""
        details = self.rest("/instances?expand")
        return {one["MainDicomTags"]["SOPInstanceUID"]: one["ID"] for one in details}

    def dimse(self, **changes: Any) -> Address:
        """Its address for DIMSE."""
        known: dict[str, Any] = {
            "name": "Test archive",
            "kind": Kind.DIMSE,
            "host": "127.0.0.1",
            "port": self.port,
            "called_ae": TITLE,
            "receive_port": self.receive_port,
        }
        if self.tls:
            known |= {"tls": True, "ca_file": str(self.tls.authority)}
        return Address(**(known | changes))

    def web(self, **changes: Any) -> Address:
        """Its address for DICOMweb."""
        root = f"http://127.0.0.1:{self.web_port}" if self.front is None else f"https://127.0.0.1:{self.front.port}"
        known: dict[str, Any] = {
            "name": "Test archive",
            "kind": Kind.DICOMWEB,
            "url": f"{root}/dicom-web",
            "user": USER,
            "password": SecretStr(PASSWORD),
        }
        if self.tls:
            known |= {"ca_file": str(self.tls.authority)}
        return Address(**(known | changes))

    def _answers(self) -> bool:
        try:
            self.rest("/system")
        except (urllib.error.URLError, OSError):
            return False
        return True

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "Name": "test",
            "StorageDirectory": str(self.folder / "store"),
            "IndexDirectory": str(self.folder / "store"),
            "Plugins": [str(self.plugin)],
            "HttpPort": self.web_port,
            "RemoteAccessAllowed": True,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "DicomAet": TITLE,
            "DicomPort": self.port,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {"medview": ["MEDVIEW", "127.0.0.1", self.receive_port]},
            "DefaultEncoding": "Utf8",
            "SyncStorageArea": False,
            # tests that cut a wire count the bytes on it
            "HttpCompressionEnabled": False,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
        }
        if self.tls:
            settings |= {
                "DicomTlsEnabled": True,
                "DicomTlsCertificate": str(self.tls.certificate),
                "DicomTlsPrivateKey": str(self.tls.key),
                "DicomTlsTrustedCertificates": str(self.tls.authority),
                "DicomTlsRemoteCertificateRequired": False,
            }
        return settings | self.options


StartOrthanc = Callable[..., Orthanc]


@contextmanager
def running(folder: Path, tls: Certificates | None = None, **options: Any) -> Iterator[Orthanc]:
    """An Orthanc of its own; stopped at the end. Skips the test where it is not installed."""
    program = shutil.which("Orthanc") or next((str(one) for one in _PROGRAMS if one.is_file()), "")
    plugin = next((one for place in _PLUGINS for one in place.glob("libOrthancDicomWeb.*")), None)
    if not program or plugin is None:
        pytest.skip("Orthanc with its DICOMweb plugin is not installed")
    made = Orthanc(folder, Path(program), plugin, tls, options)
    with ExitStack() as stack:
        stack.callback(made.stop)
        made.start()
        if tls:
            # As in most hospitals, a server in front of it does the encryption of HTTP.
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(tls.certificate, tls.key)
            made.front = stack.enter_context(wire(made.web_port, context))
        yield made


@pytest.fixture(scope="session")
def shared_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """One Orthanc for many tests."""
    with running(tmp_path_factory.mktemp("orthanc")) as made:
        yield made


@pytest.fixture
def orthanc(shared_orthanc: Orthanc) -> Orthanc:
    """The shared Orthanc, empty."""
    shared_orthanc.clear()
    return shared_orthanc


@pytest.fixture
def start_orthanc(tmp_path: Path) -> Iterator[StartOrthanc]:
    """Starts an Orthanc with options, for tests that need it set up otherwise or kill it."""
    with ExitStack() as stack:

        def start(tls: Certificates | None = None, **options: Any) -> Orthanc:
            return stack.enter_context(running(tmp_path / "orthanc", tls, **options))

        yield start
