"""Running a filter of SimpleITK so that it tells how far it is, and can be stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medview.core.errors import Cancelled
from medview.core.progress import Progress

if TYPE_CHECKING:
    import SimpleITK


def run(filter: Any, progress: Progress, *images: SimpleITK.Image) -> SimpleITK.Image:
    """What `filter.Execute(*images)` returns.

    Args:
        filter: A filter object of SimpleITK.
        progress: Told how far it is; may cancel.
        images: What the filter takes.

    Raises:
        Cancelled: The work has been asked to stop.
    """
    import SimpleITK

    stopped: list[Cancelled] = []

    def tell() -> None:
        # an exception would not come through the filter
        try:
            progress.raise_if_cancelled()
        except Cancelled as error:
            stopped.append(error)
            filter.Abort()
        progress.report(float(filter.GetProgress()))

    filter.AddCommand(SimpleITK.sitkProgressEvent, tell)
    try:
        found: SimpleITK.Image = filter.Execute(*images)
    except RuntimeError:
        if stopped:
            raise stopped[0] from None
        raise
    finally:
        filter.RemoveAllCommands()
    if stopped:
        raise stopped[0]
    return found
