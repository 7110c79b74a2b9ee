"""What an independent reading of a written file found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medview.core.errors import StorageError
from medview.core.text import Text


@dataclass(frozen=True, slots=True)
class Proof:
    """What an independent reading of a file found.

    Attributes:
        path: The file, or the folder of files.
        differences: What is not as it was meant to be; empty when everything is.
    """

    path: Path
    differences: tuple[Text, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the file holds what was meant to be written."""
        return not self.differences

    def require(self) -> Proof:
        """The proof itself, when it holds.

        Raises:
            StorageError: The file differs from what was meant to be written.
        """
        if self.differences:
            raise StorageError(
                Text.of(
                    "{name} was written wrongly: {difference}", name=self.path.name, difference=self.differences[0]
                ),
                "Nothing was saved. Choose another format, and keep the log for the makers of MedView.",
            )
        return self

    @classmethod
    def of_all(cls, path: Path, proofs: Sequence[Proof]) -> Proof:
        """One proof of several files."""
        return cls(path, tuple(difference for proof in proofs for difference in proof.differences))
