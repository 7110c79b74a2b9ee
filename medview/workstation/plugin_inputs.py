"""Which series of a study each input of a plugin gets: chosen by the reader, remembered, or guessed from names."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from medview.catalog.manifest import Input, PluginManifest
from medview.core.case import Case
from medview.core.errors import PluginUnavailableError
from medview.core.files import write_bytes
from medview.core.text import Text
from medview.core.volume import Volume

_log = logging.getLogger(__name__)


class PluginInputs:
    """What was chosen, and what series of that kind were called. Main thread only.

    Args:
        path: The file that remembers; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._remembered = _read(path)
        self._chosen: dict[str, dict[str, str]] = {}

    def choose(self, plugin_id: str, series: Mapping[str, str]) -> None:
        """Say which series (by UID) an input gets, by the input's name; those not named stay as they were."""
        self._chosen.setdefault(plugin_id, {}).update(series)

    def remember(self, plugin_id: str, input_name: str, volume: Volume) -> None:
        """Choose a series for an input, and remember what it is called: the next study of that kind has such a one.

        Raises:
            StorageError: It holds until the program ends, but could not be kept.
        """
        self.choose(plugin_id, {input_name: volume.series_uid})
        names = self._remembered.setdefault(plugin_id, {})
        if names.get(input_name) != volume.description:
            names[input_name] = volume.description
            write_bytes(self._path, json.dumps(self._remembered, indent=1, ensure_ascii=False).encode())

    def proposed(self, manifest: PluginManifest, case: Case, shown: Volume) -> dict[str, Volume]:
        """The volume for each input, as far as there is one.

        It is the one that was chosen, the one that is called as the last time, or the one whose name holds the input's;
        for the only input, the one that is shown.
        """
        if len(manifest.input) == 1:
            return {manifest.input[0].name: shown}
        chosen = self._chosen.get(manifest.id, {})
        remembered = self._remembered.get(manifest.id, {})
        ready = [one for one in case.volumes.values() if case.is_complete(one.id)]
        found: dict[str, Volume] = {}
        for rule in (_is_chosen(chosen), _is_remembered(remembered), _is_named):
            for wanted in manifest.input:
                free = [one for one in ready if one not in found.values() and one.modality in wanted.modality]
                match = next((one for one in free if rule(wanted, one)), None)
                if wanted.name not in found and match is not None:
                    found[wanted.name] = match
        return found

    def volumes(self, manifest: PluginManifest, case: Case, shown: Volume) -> dict[str, Volume]:
        """The volume for every input.

        Raises:
            PluginUnavailableError: An input has none, or one lies in another place of the patient.
        """
        found = self.proposed(manifest, case, shown)
        for wanted in manifest.input:
            if wanted.name not in found:
                raise PluginUnavailableError(
                    Text.of("{name} needs a series for “{input}”.", name=Text(manifest.name), input=Text(wanted.name)),
                    Text("Open it, and choose it on the plugin's card."),
                )
        frames = {one.geometry.frame_of_reference_uid for one in found.values()} - {None}
        if len(frames) > 1:
            raise PluginUnavailableError(
                Text("The chosen series do not share one frame of reference: they do not lie on each other."),
                Text("Choose series of one examination."),
            )
        return found


def _is_chosen(chosen: Mapping[str, str]) -> Callable[[Input, Volume], bool]:
    return lambda wanted, volume: chosen.get(wanted.name) == volume.series_uid


def _is_remembered(remembered: Mapping[str, str]) -> Callable[[Input, Volume], bool]:
    return lambda wanted, volume: bool(volume.description) and remembered.get(wanted.name) == volume.description


def _is_named(wanted: Input, volume: Volume) -> bool:
    """Whether a series' name holds the input's as a word: "t1" is not in "t1c"."""
    return wanted.name in re.findall(r"[a-z0-9]+", volume.description.lower())


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        stored = json.loads(path.read_bytes())
        return {
            str(plugin): {str(name): str(description) for name, description in names.items()}
            for plugin, names in stored.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError):
        _log.warning("%s cannot be read; nothing is remembered.", path, exc_info=True)
        return {}
