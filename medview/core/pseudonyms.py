"""What patients, studies and objects are called where their names must not go: everything follows from a site's secret.

There is one secret, and one key of a patient, for training examples and for copies without names, so that the same
patient bears the same pseudonym in all of them, today and next year. Nobody without the secret can go back, or make
the pseudonym of a name that is guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from pathlib import Path

from medview.core.case import Patient
from medview.core.files import flush, put_once

_KEY_FILE = "site.key"
_LETTERS = 12
_STANDARD_ROOT = "1.2.840.10008."
"""UIDs below it name kinds of things and well-known frames, and nobody."""
_LONGEST_SHIFT_WEEKS = 520


def site_secret(folder: Path) -> bytes:
    """The secret of this site, made when it is first wanted. Safe from several threads and processes.

    Args:
        folder: The folder of the training examples, where it is kept for its owner alone.

    Raises:
        OSError: It can be neither read nor made.
    """
    path = folder / _KEY_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".part-{uuid.uuid4().hex}"
        try:
            temporary.write_bytes(secrets.token_hex(32).encode("ascii"))
            temporary.chmod(0o600)
            flush(temporary)
            put_once(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return path.read_bytes()


def keyed_hash(secret: bytes, kind: str, *values: str) -> str:
    """A hash that only who has the secret can make again."""
    return hmac.new(secret, "|".join((kind, *values)).encode("utf-8"), hashlib.sha256).hexdigest()


def patient_key(secret: bytes, patient: Patient, study_uid: str) -> str:
    """Keyed hash of who a patient is.

    A patient is known by the patient ID and who issued it. Where the ID is empty, the name has to do; where there is no
    name either, every study is a patient of its own, for nothing says that two of them belong together.
    """
    issuer = patient.issuer.strip().casefold()
    name = patient.key.strip().casefold() or study_uid
    return keyed_hash(secret, "patient", name, *(["issuer", issuer] if issuer else []))


def pseudonym(key: str) -> str:
    """What a patient is called in what leaves the record, from the key: "P" and twelve characters."""
    return f"P{key[:_LETTERS].upper()}"


def new_uid(secret: bytes, uid: str) -> str:
    """The UID that stands for another one, at every call the same; those of the standard itself stay."""
    if not uid or uid.startswith(_STANDARD_ROOT):
        return uid
    return f"2.25.{int(keyed_hash(secret, 'uid', uid)[:32], 16)}"


def days_back(secret: bytes, key: str) -> int:
    """By how many days all dates of a patient are moved back: whole weeks, one to ten years' worth of them."""
    return 7 * (1 + int(keyed_hash(secret, "dates", key)[:8], 16) % _LONGEST_SHIFT_WEEKS)
