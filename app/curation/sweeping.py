"""Operations whose process died: an import is undone, what else was begun is brought to its end. In short pieces."""

import asyncio
from datetime import timedelta
from typing import Final

from anyio import to_thread
from sqlalchemy import Engine

from app.conversations import bulk_review
from app.core.database import transaction
from app.core.logging import get_logger
from app.curation import removal
from app.datasets.models import OperationKind
from app.datasets.operations import ABANDONED_AFTER, take_abandoned
from app.imports.service import undo as undo_import

logger = get_logger(__name__)
SWEEP_SECONDS: Final = 30.0


async def keep_sweeping(engine: Engine, *, every_seconds: float = SWEEP_SECONDS) -> None:
    """Until it is cancelled: where no worker runs, the web process is the one that sweeps."""
    while True:
        await asyncio.sleep(every_seconds)
        await to_thread.run_sync(_sweep_or_tell, engine)


def _sweep_or_tell(engine: Engine) -> None:
    """A database that is busy or away is tried again the next time."""
    try:
        sweep(engine)
    except Exception as error:  # noqa: BLE001 - nothing may end the sweeping
        logger.warning("sweeping failed: %s", type(error).__name__)


def sweep(engine: Engine, *, older_than: timedelta = ABANDONED_AFTER) -> int:
    """One round; how many operations it brought to an end. One that another process works on is left alone."""
    with transaction(engine) as session:
        taken = take_abandoned(session, older_than=older_than)
    for mine, operation in taken:
        logger.warning("operation %d (%s) was abandoned", mine.id, operation.kind.value)
        with transaction(engine) as session:
            match operation.kind:
                case OperationKind.IMPORT:
                    undo_import(session, mine)
                case OperationKind.REVIEW:
                    bulk_review.go_on(session, mine, operation)
                case OperationKind.DELETE:
                    removal.erase(session, mine)
    return len(taken)
