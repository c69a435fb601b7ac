"""The queue as runs see it."""

from collections.abc import Mapping

from sqlmodel import Session

from app.queue.board import read_board
from app.runs.waiting import WaitsFor


class WaitingInTheQueue:
    """Places and expectations of the board."""

    def of_jobs(self, session: Session) -> Mapping[int, WaitsFor]:
        """By job, everything that waits."""
        board = read_board(session)
        return {one.job.id or 0: one.waits for jobs in board.waiting.values() for one in jobs}
