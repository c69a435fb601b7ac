"""An answer that waits for the job of an import: no thread and no connection is held meanwhile."""

import asyncio
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from anyio import to_thread
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Engine
from starlette.types import Receive, Scope, Send

from app.core.database import reading
from app.core.i18n import gettext
from app.core.responses import problem
from app.imports.background import report_of, require_import_job
from app.imports.models import DatasetImport
from app.imports.schemas import ImportOut
from app.imports.work import ImportPayload
from app.jobs.models import JobState
from app.jobs.stream import POLL_SECONDS, Streams
from app.sentences import N_

# Longer than a file of the default limit takes; whoever goes on after that asks the job.
LONGEST_SECONDS: Final = 900.0
CANCELLED: Final = N_("The import was cancelled. Nothing came in.")


def status_of(report: DatasetImport, *, skip_bad: bool) -> int:
    """201 when conversations came in, or could have; 422 when a problem or an open question kept them out."""
    kept_out = report.problem_count and (report.id is None or not skip_bad)
    return HTTPStatus.UNPROCESSABLE_ENTITY if report.waits_for_choice or kept_out else HTTPStatus.CREATED


@dataclass(frozen=True)
class _Look:
    engine: Engine
    job_id: int

    def ended(self) -> Response | None:
        """The answer once the job has ended."""
        with reading(self.engine) as session:
            job = require_import_job(session, self.job_id)
            if not job.is_final:
                return None
            if job.state is JobState.SUCCEEDED:
                report = report_of(session, job)
                status = status_of(report, skip_bad=job.asked(ImportPayload).skip_bad)
                return JSONResponse(ImportOut.of(report, job).model_dump(mode="json"), status)
            if job.state is JobState.CANCELLED:
                return problem(HTTPStatus.CONFLICT, gettext(CANCELLED))
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, job.error_text, code=job.error_code)

    def under_way(self) -> Response:
        """The answer while it has not."""
        with reading(self.engine) as session:
            job = require_import_job(session, self.job_id)
            body = ImportOut.of(report_of(session, job), job).model_dump(mode="json")
            return JSONResponse(body, HTTPStatus.ACCEPTED)


class WhenItHasEnded(Response):
    """The report of a job's import, however long that takes; after a quarter of an hour, or when the server goes down, 202
    with the job."""

    def __init__(self, engine: Engine, job_id: int, streams: Streams) -> None:
        super().__init__()
        self._look, self._streams = _Look(engine, job_id), streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ends when nobody listens any more; the job goes on."""
        gone = asyncio.ensure_future(receive())
        until = time.monotonic() + LONGEST_SECONDS
        threads = self._streams.threads
        try:
            while not gone.done() and not self._streams.closing.is_set() and time.monotonic() < until:
                answer = await to_thread.run_sync(self._look.ended, limiter=threads)
                if answer is not None:
                    await answer(scope, receive, send)
                    return
                await asyncio.wait({gone}, timeout=POLL_SECONDS)
            if not gone.done():
                answer = await to_thread.run_sync(self._look.under_way, limiter=threads)
                await answer(scope, receive, send)
        finally:
            gone.cancel()
