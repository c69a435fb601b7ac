"""The job that exports: the child is told all there is of the run, its files become the export's."""

from collections.abc import Sequence

from sqlmodel import Session

from app.base_models.service import require_ready
from app.checklists.service import lines_of
from app.core.i18n import use_locale
from app.core.storage import StoredFile
from app.evaluations.service import verdicts
from app.exports.models import RunExport, RunExportFile
from app.exports.service import require_export
from app.exports.work import Earlier, ExportInput, ExportPayload, ExportResult, HeldOut, Scores, SuiteScore
from app.jobs.handlers import JobHandler, Workplace
from app.jobs.service import Claim
from app.mask_checks.service import require_mask_check
from app.runs.beginning_words import against_earlier
from app.runs.handler import provenance_of
from app.runs.mixing import mixed_into
from app.runs.models import Run
from app.runs.result import RunResult
from app.runs.service import adapter_path, require_run
from app.versions.service import require_version


class ExportRun(JobHandler[ExportResult]):
    """Which module of the child does it is the export's kind."""

    result_model = ExportResult

    def child_input(self, session: Session, place: Workplace, claim: Claim) -> ExportInput:
        """Folders, hashes, config and scores of the run."""
        export = require_export(session, claim.asked(ExportPayload).export_id)
        run = require_run(session, export.run_id)
        return _told(session, place, export, run)

    def look_at_files(self, place: Workplace, result: ExportResult) -> list[StoredFile]:
        """Every file of the export."""
        return place.storage.files(f"{place.output_key}/{result.folder}")

    def publish(
        self,
        session: Session,
        place: Workplace,
        claim: Claim,
        result: ExportResult,
        files: Sequence[StoredFile],
    ) -> None:
        """The files become known."""
        export = require_export(session, claim.asked(ExportPayload).export_id)
        export.result = result
        session.add(export)
        session.add_all(
            RunExportFile(
                export_id=export.id or 0,
                name=file.name,
                storage_key=file.key,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
            )
            for file in files
        )


def _told(session: Session, place: Workplace, export: RunExport, run: Run) -> ExportInput:
    check = require_mask_check(session, run.mask_check_id)
    model, folder = require_ready(session, run.base_model_id)
    version, mixed = require_version(session, run.dataset_version_id), mixed_into(session, run)
    # Of a version that was redacted since, the export has what is left.
    export.version_hash = version.content_hash
    session.add(export)
    return ExportInput(
        kind=export.kind,
        choices=export.choices,
        adapter_path=str(adapter_path(place.storage, run)),
        base_model_path=str(folder),
        base_dtype=model.info.dtype,
        version_file=str(place.storage.path(version.storage_key)),
        version_hash=version.content_hash,
        arrays_path=str(place.storage.path(check.arrays_key)) if check.arrays_key else None,
        mixed_in_path=str(place.storage.path(mixed.check.arrays_key))
        if mixed and mixed.check.arrays_key
        else None,
        mask_settings=check.settings,
        end_of_turn=model.info.end_of_turn,
        end_of_turn_id=model.info.end_of_turn_id,
        config=run.config,
        launch=run.launch,
        provenance=provenance_of(session, run, check, model),
        result=_result_of(run),
        scores=scores_of(session, run),
        quantizer_path=str(place.settings.llama_quantize) if place.settings.llama_quantize else None,
    )


def _result_of(run: Run) -> RunResult:
    assert run.result is not None, "a run with an adapter has a result"
    return run.result


def scores_of(session: Session, run: Run) -> Scores:
    """The newest evaluation of each suite and the checklist, in English: a model card is read by anybody."""
    with use_locale("en"):
        judged = verdicts(session, [run.id or 0]).get(run.id or 0)
        checklist = lines_of(session, run)
        earlier = _against(session, run)
        if judged is None:
            return Scores(earlier=earlier, checklist=checklist)
        suites = [
            SuiteScore(
                title=one.title.get("en", one.suite_name),
                verdict=one.word,
                wins=one.wins,
                losses=one.losses,
                ties=one.ties,
                checks=one.checks,
                checks_before=one.checks_before,
                checks_after=one.checks_after,
                retention=one.retention,
            )
            for one in judged.suites
        ]
    losses = judged.held_out_loss
    return Scores(
        earlier=earlier,
        suites=suites,
        held_out_loss=HeldOut(base=losses.base, tuned=losses.tuned) if losses else None,
        checklist=checklist,
    )


def _against(session: Session, run: Run) -> Earlier | None:
    found = against_earlier(session, run)
    if run.begins is None or found is None:
        return None
    return Earlier(run_id=run.begins.run_id, before=found[0], after=found[1])
