"""What numbers are called in DICOM: codes of quantities, of statistics over voxels, of maps, and of units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from medview.core.errors import StorageError
from medview.core.folders import resources_folder
from medview.core.measurement import MeasurementKind, Quantity, Value
from medview.core.segmentation import Code
from medview.core.volume import Modality

_LONG_AXIS = "long axis"


@dataclass(frozen=True, slots=True)
class NumberCodes:
    """How DICOM names a number.

    Attributes:
        name: What was measured.
        statistic: What was made of the voxels' values, as their mean; None where it is no statistic.
        unit: Its unit, in UCUM.
    """

    name: Code
    statistic: Code | None
    unit: Code


class Quantities:
    """The codes of `resources/quantities.json`."""

    def __init__(
        self,
        quantities: Mapping[str, Code],
        statistics: Mapping[str, Code | None],
        of_voxels: Mapping[str, Code],
        maps: Mapping[str, Code],
        units: Mapping[str, Code],
    ) -> None:
        self._quantities = quantities
        self._statistics = statistics
        self._of_voxels = of_voxels
        self._units = units
        self.maps = maps

    def unit(self, unit: str) -> Code:
        """The UCUM code of a unit of the program; one that UCUM does not know is a note in braces."""
        return self._units.get(unit) or Code("{" + unit + "}", "UCUM", unit)

    def of(self, value: Value, modality: Modality, kind: MeasurementKind | None = None, points: int = 0) -> NumberCodes:
        """How DICOM names a number.

        Args:
            value: The number.
            modality: Of the image that it was measured on.
            kind: What was drawn, where it was measured by drawing.
            points: How many points that has: a length with a short axis is a long axis.
        """
        unit = self.unit(value.unit)
        if value.quantity.value in self._statistics:
            meant = "MR" if value.unit == "" and modality is Modality.MR else value.unit
            name = self._of_voxels.get(meant) or self._of_voxels[""]
            return NumberCodes(name, self._statistics[value.quantity.value], unit)
        is_long = value.quantity is Quantity.LENGTH and kind is MeasurementKind.LENGTH and points > 2
        return NumberCodes(self._quantities[_LONG_AXIS if is_long else value.quantity.value], None, unit)


def load(folder: Path | None = None) -> Quantities:
    """The codes that the program knows.

    Args:
        folder: The folder of `quantities.json`; the program's own resources when not given.

    Raises:
        StorageError: The list is missing or damaged.
    """
    folder = folder or resources_folder()
    try:
        record = _File.model_validate_json((folder / "quantities.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise StorageError("The list of quantities is missing or damaged.", "Install MedView again.") from error
    return Quantities(
        {name: Code(*code) for name, code in record.quantities.items()},
        {name: Code(*code) if code else None for name, code in record.statistics.items()},
        {name: Code(*code) for name, code in record.of_voxels.items()},
        {name: Code(*code) for name, code in record.maps.items()},
        {name: Code(*code) for name, code in record.units.items()},
    )


_Code = tuple[str, str, str]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    quantities: dict[str, _Code]
    statistics: dict[str, _Code | None]
    of_voxels: dict[str, _Code]
    maps: dict[str, _Code]
    units: dict[str, _Code]
