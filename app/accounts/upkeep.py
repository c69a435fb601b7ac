"""What a web server does now and then for accounts: store who was seen, and renew the command line's token."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Final

from anyio import to_thread
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.accounts.activity import Activity
from app.accounts.first_run import local_token, read_local_token
from app.core.logging import get_logger

logger = get_logger(__name__)
STORE_SECONDS: Final = 30
RENEW_ROUNDS: Final = timedelta(days=1) // timedelta(seconds=STORE_SECONDS)


async def keep_up(engine: Engine, activity: Activity, data_dir: Path) -> None:
    """Until it is cancelled. The database is touched in threads only."""
    rounds = 0
    while True:
        await asyncio.sleep(STORE_SECONDS)
        await to_thread.run_sync(store_activity, activity, engine)
        rounds += 1
        if rounds % RENEW_ROUNDS == 0:
            await to_thread.run_sync(renew_local_token, engine, data_dir)


def store_activity(activity: Activity, engine: Engine) -> None:
    """A database that is busy or away is tried again the next time."""
    try:
        activity.store(engine)
    except SQLAlchemyError as error:
        logger.warning("when people were seen could not be stored: %s", type(error).__name__)


def renew_local_token(engine: Engine, data_dir: Path) -> None:
    """Where a command line has one."""
    try:
        if read_local_token(data_dir):
            local_token(engine, data_dir)
    except (SQLAlchemyError, OSError) as error:
        logger.warning("the token of the command line could not be renewed: %s", type(error).__name__)
