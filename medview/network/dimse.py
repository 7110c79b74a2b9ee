"""An archive that speaks DICOM's own protocol: C-ECHO, C-FIND, C-GET or C-MOVE, C-STORE."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pydicom.dataset import Dataset
from pynetdicom import build_context

from medview.core.progress import Progress
from medview.network import dimse_fetch, dimse_send
from medview.network.address import Address
from medview.network.archive import MOST_STUDIES, first_found
from medview.network.association import association, status_error
from medview.network.connecting import broken
from medview.network.inbox import Intake
from medview.network.interruption import Interruption, interruptible
from medview.network.records import FoundInstance, FoundSeries, FoundStudies, FoundStudy, Outcome, Outgoing, Query
from medview.network.services import ECHO, FIND

_UTF8 = "ISO_IR 192"
_PENDING = (0xFF00, 0xFF01)
_CANCELLED = 0xFE00
_STUDY_KEYS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
_SERIES_KEYS = (
    "SeriesInstanceUID",
    "Modality",
    "SeriesDescription",
    "SeriesNumber",
    "BodyPartExamined",
    "NumberOfSeriesRelatedInstances",
)
_INSTANCE_KEYS = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber")


class DimseArchive:
    """See `archive.Archive`.

    Args:
        address: Where it is.
    """

    def __init__(self, address: Address) -> None:
        self.address = address

    def echo(self, progress: Progress) -> None:
        """C-ECHO."""

        def work(interruption: Interruption) -> None:
            with association(self.address, [build_context(ECHO)], interruption) as link:
                status = link.send_c_echo()
                if "Status" not in status:
                    raise broken(self.address)
                if status.Status != 0:
                    raise status_error(self.address, status)

        interruptible(work, progress)

    def find_studies(self, query: Query, progress: Progress) -> FoundStudies:
        """C-FIND at study level."""

        def search(spelling: Query) -> FoundStudies:
            answers = self._find("STUDY", _STUDY_KEYS, spelling.matching(), progress, MOST_STUDIES)
            return FoundStudies(tuple(_study(one) for one in answers[:MOST_STUDIES]), len(answers) <= MOST_STUDIES)

        return first_found(query, search)

    def find_series(self, study_uid: str, progress: Progress) -> tuple[FoundSeries, ...]:
        """C-FIND at series level."""
        answers = self._find("SERIES", _SERIES_KEYS, {"StudyInstanceUID": study_uid}, progress)
        return tuple(_series(study_uid, one) for one in answers if _text(one, "SeriesInstanceUID"))

    def find_instances(self, study_uid: str, series_uid: str, progress: Progress) -> tuple[FoundInstance, ...]:
        """C-FIND at image level."""
        matching = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        answers = self._find("IMAGE", _INSTANCE_KEYS, matching, progress)
        return tuple(
            FoundInstance(study_uid, series_uid, _text(one, "SOPInstanceUID"), _text(one, "SOPClassUID"))
            for one in answers
            if _text(one, "SOPInstanceUID")
        )

    def fetch(self, intake: Intake, progress: Progress) -> None:
        """C-GET; C-MOVE to a receiver of our own where the archive does not do C-GET."""
        interruptible(lambda interruption: dimse_fetch.fetch(self.address, intake, interruption), progress)

    def send(self, files: Sequence[Outgoing], told: Callable[[Outcome], None], progress: Progress) -> None:
        """C-STORE."""
        interruptible(lambda interruption: dimse_send.send(self.address, files, told, progress, interruption), progress)

    def _find(
        self,
        level: str,
        keys: Sequence[str],
        matching: dict[str, str],
        progress: Progress,
        most: int | None = None,
    ) -> list[Dataset]:
        """All answers; of more than `most`, one more than that."""
        identifier = Dataset()
        identifier.SpecificCharacterSet = _UTF8
        identifier.QueryRetrieveLevel = level
        for keyword in keys:
            setattr(identifier, keyword, None)
        for keyword, value in matching.items():
            setattr(identifier, keyword, value)

        def work(interruption: Interruption) -> list[Dataset]:
            with association(self.address, [build_context(FIND)], interruption) as link:
                found: list[Dataset] = []
                for status, answer in link.send_c_find(identifier, FIND):
                    interruption.raise_if_asked()
                    code = self._code(status)
                    if code in _PENDING and answer is not None and (most is None or len(found) <= most):
                        found.append(answer)
                        if most is not None and len(found) == most + 1:
                            link.send_c_cancel(1, query_model=FIND)
                    elif code not in (0, _CANCELLED, *_PENDING):
                        raise status_error(self.address, status)
                return found

        return interruptible(work, progress)

    def _code(self, status: Dataset) -> int:
        if "Status" not in status:
            raise broken(self.address)
        return int(status.Status)


def _study(answer: Dataset) -> FoundStudy:
    return FoundStudy(
        uid=_text(answer, "StudyInstanceUID"),
        patient_name=_text(answer, "PatientName"),
        patient_id=_text(answer, "PatientID"),
        birth_date=_text(answer, "PatientBirthDate"),
        sex=_text(answer, "PatientSex"),
        date=_text(answer, "StudyDate"),
        time=_text(answer, "StudyTime"),
        description=_text(answer, "StudyDescription"),
        accession_number=_text(answer, "AccessionNumber"),
        modalities=tuple(_several(answer, "ModalitiesInStudy")),
        series=_number(answer, "NumberOfStudyRelatedSeries"),
        instances=_number(answer, "NumberOfStudyRelatedInstances"),
    )


def _series(study_uid: str, answer: Dataset) -> FoundSeries:
    return FoundSeries(
        study_uid=study_uid,
        uid=_text(answer, "SeriesInstanceUID"),
        modality=_text(answer, "Modality"),
        description=_text(answer, "SeriesDescription"),
        number=_number(answer, "SeriesNumber"),
        body_part=_text(answer, "BodyPartExamined"),
        instances=_number(answer, "NumberOfSeriesRelatedInstances"),
    )


def _text(answer: Dataset, keyword: str) -> str:
    return "\\".join(_several(answer, keyword))


def _several(answer: Dataset, keyword: str) -> Iterator[str]:
    value = answer.get(keyword)
    for one in value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]:
        if one is not None and str(one):
            yield str(one)


def _number(answer: Dataset, keyword: str) -> int | None:
    try:
        return int(_text(answer, keyword))
    except ValueError:
        return None
