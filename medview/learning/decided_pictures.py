"""Pictures whose class a reader has decided on, from the example store, as a classifier's training takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medview.core.errors import InputError, StorageError
from medview.core.files import file_hash
from medview.core.finding import Verdict
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.core.volume import Modality, Volume, Window
from medview.formats.image_files import read_volume
from medview.learning import labelled_pictures
from medview.learning.classifier_plugin import ClassifierPlugin
from medview.learning.example_record import Example
from medview.learning.examples import ExampleStore
from medview.learning.labelled_pictures import LabelledPictures
from medview.learning.splits import Split


def class_of(example: Example, classes: Sequence[str]) -> int | None:
    """Which of some classes, of which one holds, an image belongs to by what was decided on it as a whole.

    It is the one that a reader has confirmed, or the only one left when all others were rejected; None where that does
    not tell.
    """
    whole = [one for one in example.classes if one.is_of_whole_image and one.name in classes]
    there = {one.name for one in whole if one.verdict is Verdict.CONFIRMED}
    not_there = {one.name for one in whole if one.verdict is Verdict.REJECTED} - there
    if not there and len(not_there) == len(set(classes)) - 1:
        there = set(classes) - not_there
    return classes.index(there.pop()) if len(there) == 1 else None


def image_of(store: ExampleStore, example: Example) -> Volume:
    """The image of an example as it was when it was decided on: with its modality, unit and windows.

    Raises:
        StorageError: It is gone, or not as it was written.
    """
    path = store.image_path(example)
    try:
        whole = file_hash(path) == example.image_file.sha256
    except OSError:
        whole = False
    if not whole:
        raise StorageError(
            Text.of("The image of the example {name} is damaged or gone.", name=example.example_id),
            Text("Save the case again. Checking the examples lists what is damaged."),
        )
    windows = tuple(Window(center, width) for center, width in example.windows)
    volume = read_volume(path, NoProgress())
    return replace(volume, modality=Modality.of(example.modality), unit=example.unit, windows=windows)


def read(folder: Path, part: Split, plugin: ClassifierPlugin) -> LabelledPictures:
    """The pictures of one part of the patients, each as the plugin's network sees it.

    Args:
        folder: The example store.
        part: Which part; a patient is always in the same one.
        plugin: Names the classes, and makes pictures of images.

    Raises:
        InputError: No image of that part has one of its classes.
        StorageError: An image is damaged.
    """
    store = ExampleStore(folder)
    pictures, labels = [], []
    for example in store.examples():
        label = class_of(example, plugin.classes)
        if example.split is part and label is not None:
            pictures.append(plugin.picture_of(image_of(store, example)))
            labels.append(label)
    if not pictures:
        raise InputError(
            Text.of("No example of the part {part} was decided to be one of {names}.", part=part.value,
                    names=", ".join(plugin.classes)),
            Text("Decide on more cases, of more patients, or add a set of labelled pictures to the data."),
        )  # fmt: skip
    return LabelledPictures(np.stack(pictures), np.asarray(labels, dtype=np.int64))


def read_all(paths: Sequence[Path], part: Split, plugin: ClassifierPlugin) -> LabelledPictures:
    """One part of several sets together: files in the layout of MedMNIST, and example stores.

    A store without anything of that part adds nothing, where there is something else.

    Raises:
        InputError: There is none of that part, or the pictures of two sets differ in size.
        StorageError: An image of a store is damaged.
    """
    found: list[LabelledPictures] = []
    nothing: InputError | None = None
    for path in paths:
        try:
            found.append(read(path, part, plugin) if path.is_dir() else labelled_pictures.read(path, part))
        except InputError as error:
            if not path.is_dir():
                raise
            nothing = error
    if not found:
        raise nothing or InputError("No data was named.", "Name a set of labelled pictures, or an example store.")
    if len({one.pictures.shape[1:] for one in found}) > 1:
        raise InputError(
            "The pictures of these sets differ in size.", "Choose sets of the size that the plugin's network sees."
        )
    return LabelledPictures(
        np.concatenate([one.pictures for one in found]), np.concatenate([one.labels for one in found])
    )
