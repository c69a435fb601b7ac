"""The job that pushes: the child is told which files go where, and where they can be looked at then is kept."""

from collections.abc import Sequence

from sqlmodel import Session

from app.core.storage import StoredFile
from app.exports.pushing import require_push
from app.exports.service import require_export, require_files
from app.exports.work import PushedFile, PushInput, PushPayload, PushResult
from app.jobs.handlers import JobHandler, Workplace
from app.jobs.service import Claim


class PushExport(JobHandler[PushResult]):
    """Its files are the export's own; it makes none."""

    result_model = PushResult

    def child_input(self, session: Session, place: Workplace, claim: Claim) -> PushInput:
        """The export's folder and files, with their hashes."""
        push, _job = require_push(session, claim.asked(PushPayload).push_id)
        export = require_export(session, push.export_id)
        files = require_files(session, export)
        key, name = files[0].storage_key, files[0].name
        return PushInput(
            folder=str(place.storage.path(key.removesuffix(f"/{name}"))),
            files=[
                PushedFile(name=file.name, size_bytes=file.size_bytes, sha256=file.sha256) for file in files
            ],
            repository=push.repository,
            private=push.private,
            message=f"Run {export.run_id} of SFT Studio: {export.kind}",
        )

    def publish(
        self,
        session: Session,
        place: Workplace,
        claim: Claim,
        result: PushResult,
        files: Sequence[StoredFile],
    ) -> None:
        """Where they can be looked at becomes known."""
        push, _job = require_push(session, claim.asked(PushPayload).push_id)
        push.result = result
        session.add(push)
