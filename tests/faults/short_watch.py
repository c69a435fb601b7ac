"""A worker whose watch takes seconds instead of a quarter of an hour, and whose jobs can hang: `celery -A tests.faults.short_watch worker`.

Nothing else of it is other than the product's; `hanging_child` stands in for the child's own module.
"""

from collections.abc import Sequence
from typing import Any

from app.line_process import LineProcess
from tests.faults.studio import STILL_SECONDS
from worker.parent import child_process, standstill
from worker.parent.celery_app import celery

__all__ = ["celery"]


def start(command: Sequence[str], **more: Any) -> LineProcess:
    """Of the child's command its module alone is another one."""
    python, module_flag, _module, job_file = command
    return LineProcess((python, module_flag, "tests.faults.hanging_child", job_file), **more)


# In so short a time a process that only waits has less of a processor, and one that works far more, than this.
standstill.LIFE = 5  # type: ignore[attr-defined,misc]
standstill.LOOK_SECONDS, standstill.STILL_SECONDS = 0.2, STILL_SECONDS  # type: ignore[misc]
child_process.LineProcess = start  # type: ignore[attr-defined,misc]
