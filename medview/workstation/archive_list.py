"""The archives that the user has entered, kept in the user's folder."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from pydantic import ValidationError

from medview.core.errors import InputError
from medview.core.events import Event
from medview.core.files import whole_file
from medview.core.text import Text
from medview.network.address import Address

_log = logging.getLogger(__name__)
_SECRETS = ("password", "token")
_FOR_ME_ALONE = 0o600


class ArchiveList:
    """Holds the addresses and keeps them in `archives.json`, which only the user may read. Main thread only.

    Args:
        folder: The user's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.changed: Event[None] = Event()
        self._path = folder / "archives.json"
        self._addresses = _read(self._path)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """In the order in which they were entered."""
        return self._addresses

    def named(self, name: str) -> Address:
        """The archive of this name.

        Raises:
            InputError: There is none.
        """
        found = next((one for one in self._addresses if one.name == name), None)
        if found is None:
            raise InputError(
                Text.of("There is no archive of the name {name}.", name=name), "Enter it first, or choose another."
            )
        return found

    def put(self, address: Address, replaces: str = "") -> None:
        """Enter an archive, or change one.

        Args:
            address: What it is now.
            replaces: The name that it had; empty for a new one.

        Raises:
            InputError: It is no possible address, or another one has this name.
            StorageError: It holds until the program ends, and could not be written.
        """
        address.require()
        if any(one.name == address.name for one in self._addresses if one.name != replaces):
            raise InputError(
                Text.of("There is an archive of the name {name} already.", name=address.name), "Choose another name."
            )
        if any(one.name == replaces for one in self._addresses):
            self._set(tuple(address if one.name == replaces else one for one in self._addresses))
        else:
            self._set((*self._addresses, address))

    def remove(self, name: str) -> None:
        """Forget an archive; what came from it stays.

        Raises:
            InputError: There is none of this name.
            StorageError: It is forgotten until the program ends, and that could not be written.
        """
        gone = self.named(name)
        self._set(tuple(one for one in self._addresses if one is not gone))

    def _set(self, addresses: tuple[Address, ...]) -> None:
        self._addresses = addresses
        self.changed.emit(None)
        records = []
        for address in addresses:
            record = address.model_dump(mode="json")
            record |= {name: getattr(address, name).get_secret_value() for name in _SECRETS}
            records.append(record)
        content = json.dumps({"archives": records}, indent=2, ensure_ascii=False).encode()
        with whole_file(self._path) as temporary:
            # Passwords are in it: nobody else may read it, from its first byte on.
            temporary.touch(_FOR_ME_ALONE)
            temporary.write_bytes(content)


def _read(path: Path) -> tuple[Address, ...]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        records = stored["archives"]
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError):
        _log.warning("The list of archives cannot be read; there are none.")
        return ()
    addresses = []
    for record in records if isinstance(records, list) else ():
        try:
            addresses.append(Address.model_validate(record))
        except ValidationError as error:
            # its own words would show the values, and with them passwords
            _log.warning("An archive cannot be read: %s", error.errors(include_input=False, include_url=False))
    return tuple(addresses)
