"""A plugin that takes hints, and an image, held ready from one hint to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medview.catalog.manifest_engines import BundleEngine, PythonEngine
from medview.catalog.plugins import PluginRecord
from medview.core.errors import InputError, PluginUnavailableError
from medview.core.geometry import Box
from medview.core.hint import Hint, HintAnswer, HintKind, PlacedMask
from medview.core.hint_marks import box_around, box_of
from medview.core.progress import Progress
from medview.core.segmentation import ModelRef
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import boxing, python_engine, runner
from medview.inference import device as devices
from medview.inference.plugin import Context

if TYPE_CHECKING:
    from medview.inference.apart_hints import ApartHints
    from medview.inference.bundle_hints import BundleHints


class HintSession:
    """Answers hints on one structure of one image. Used by one thread at a time.

    Args:
        record: The plugin.
        volume: The image.
        others: Where the plugin has several inputs, the volumes of all but the first, by name.
        device: "auto", "cpu" or "cuda".
        exact: Whether networks compute in float32 even where shorter numbers say the same.
        structure: The plugin's label that the hints are on; 0: its only one, or whatever is there.

    Raises:
        PluginUnavailableError: The plugin cannot run, takes no hints, or does not name the structure.
    """

    def __init__(
        self,
        record: PluginRecord,
        volume: Volume,
        *,
        others: Mapping[str, Volume] | None = None,
        device: str = "auto",
        exact: bool = False,
        structure: int = 0,
    ) -> None:
        self._manifest = runner.ready_manifest(record)
        if self._manifest.hints is None:
            raise PluginUnavailableError(
                Text.of("{name} takes no hints.", name=Text(record.name)), Text("Choose another one.")
            )
        if structure and structure not in {one.value for one in self._manifest.label}:
            raise PluginUnavailableError(
                Text.of("{name} does not find the label {label}.", name=Text(record.name), label=structure),
                Text("Choose another one."),
            )
        self._record = record
        self._volume = volume
        self._others = dict(others or {})
        self._device = device
        self._exact = exact
        self._structure = structure
        self._sha256: str | None = None
        self._engine: BundleHints | ApartHints | None = None

    @property
    def model(self) -> ModelRef:
        """Who answers; the hash of its files is known after the first answer."""
        return ModelRef(self._manifest.id, self._manifest.version, self._sha256 or "")

    def part_for(self, hints: Sequence[Hint]) -> Box:
        """The part of the image that is looked at for some hints, (k, j, i).

        Raises:
            InputError: There is none: the hints lie outside the image, or a box is wanted and missing.
        """
        spec, geometry = self._manifest.hints, self._volume.geometry
        assert spec is not None
        unknown = next((one for one in hints if one.kind not in spec.kinds), None)
        if unknown is not None or (not spec.negative and not all(one.positive for one in hints)):
            raise InputError(
                Text.of("{name} does not take such hints.", name=Text(self._manifest.name)),
                Text("Undo the last hint, and give one of another kind."),
            )
        boxes = [one for one in hints if one.kind is HintKind.BOX and one.positive]
        if self._manifest.input[0].wants_box:
            if not boxes:
                raise InputError(
                    Text.of("{name} looks inside a box, and there is none yet.", name=Text(self._manifest.name)),
                    Text("Draw a box around the structure first."),
                )
            found = box_of(boxes[-1], geometry)
        else:
            margin = spec.margin_mm
            found = Box.whole(geometry.shape) if margin is None else box_around(hints, geometry, margin)
        if found.is_empty:
            raise InputError(Text("The hint lies outside the image."), Text("Give it where there is something to see."))
        return found

    def answer(self, hints: Sequence[Hint], before: HintAnswer | None, progress: Progress) -> HintAnswer:
        """Find the structure that some hints are on.

        Args:
            hints: All that were given on it, in their order.
            before: What was answered to the earlier ones.
            progress: Is told how far it is, and may stop it.

        Raises:
            InputError: The hints cannot be answered.
            PluginError: The plugin cannot run on this part of the image, failed, or its answer is not one.
            Cancelled: It was asked to stop.
        """
        if self._sha256 is None:
            self._sha256 = runner.pinned(self._record, progress)
        box = self.part_for(hints)
        placed = None
        if before is not None:
            placed = PlacedMask(self._volume.geometry.cropped(before.box), before.inside)
        found = self.found(tuple(hints), box, placed, progress)
        labels = runner.checked(found, box.shape, self._manifest)
        inside = labels == self._structure if self._structure else labels > 0
        progress.report(1.0, Text("Done"))
        return HintAnswer(box, inside)

    def found(self, hints: tuple[Hint, ...], box: Box, before: PlacedMask | None, progress: Progress) -> Any:
        """What the plugin gives for hints in a part of the image: an array, unchecked; raises as `answer` does."""
        record, manifest = self._record, self._manifest
        if record.runs_apart:
            from medview.inference.apart_hints import ApartHints, Ask

            if not isinstance(self._engine, ApartHints):
                self._engine = ApartHints(
                    record, self._volume, self._others, self._device, exact=self._exact, structure=self._structure
                )
            return self._engine.answer(Ask.about(hints, before, box), progress)
        whole = runner.case_of(manifest, self._volume, self._others, box)
        is_whole = box == Box.whole(self._volume.geometry.shape)
        case = whole if is_whole else boxing.cropped(whole, self._volume, box)
        context = Context(
            record.folder, progress, lambda: devices.choose(self._device), box.shape, exact=self._exact, hints=hints,
            before=before,
        )  # fmt: skip
        engine = manifest.engine
        if isinstance(engine, PythonEngine):
            return runner.guarded(lambda: python_engine.run(record.folder, engine, case, context), manifest)
        assert isinstance(engine, BundleEngine)
        devices.be_considerate()
        from medview.inference.bundle_hints import BundleHints

        if not isinstance(self._engine, BundleHints):
            self._engine = BundleHints(record.folder, engine, manifest, trusted=record.trusted)
        bundle = self._engine
        return runner.guarded(lambda: bundle.answer(case, context, self._structure, str(box)), manifest)

    def close(self) -> None:
        """Let the plugin go: its memory, its modules, its process."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
