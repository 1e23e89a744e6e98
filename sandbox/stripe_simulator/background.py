"""Background tasks that may not fail in silence."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

EXIT_CODE_OF_A_BUG = 70


def end_on_bug(task: asyncio.Task[Any]) -> None:  # Any: a task's result does not matter
    """End the process when a background task has failed: a double that goes on half dead would mislead every test.

    For `Task.add_done_callback`. Raises SystemExit, which the event loop lets through.
    """
    if not task.cancelled() and (error := task.exception()) is not None:
        traceback.print_exception(error)
        raise SystemExit(EXIT_CODE_OF_A_BUG)
