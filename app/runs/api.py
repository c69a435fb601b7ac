"""REST for runs."""

from typing import Annotated, Final

from fastapi import Header, Query, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse
from sqlmodel import Session
from sse_starlette.sse import EventSourceResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import record
from app.base_models.schemas import BaseModelOut
from app.core.database import let_go, transaction
from app.core.errors import NotFound
from app.core.routing import Router
from app.core.web import AppEngine, AppSettings, AppStorage, Db
from app.interop.handing import TOOLS
from app.jobs.api import After
from app.jobs.events import SamplePayload
from app.jobs.models import StopRequest
from app.jobs.stream import stream_events
from app.recipes.own import AppRecipes
from app.recipes.recipes import RecipeBook
from app.runs import service, stopping
from app.runs.again import request_again
from app.runs.alike import request_alike
from app.runs.artifacts import artifacts, require_artifact
from app.runs.as_base import use_as_base
from app.runs.backends import TheseBackends
from app.runs.comparing import data_changes, differences, reached, require_runs
from app.runs.curves import read_curves, read_whole_curves
from app.runs.diagnosis import diagnose_run
from app.runs.judging import AppJudging
from app.runs.logs import log_tail
from app.runs.manifest import Manifest, manifest_of
from app.runs.models import Run
from app.runs.preflight.ground import TheseSurroundings
from app.runs.preflight.schemas import PreflightOut
from app.runs.samples import read_samples
from app.runs.schemas import (
    AgainIn,
    ArtifactOut,
    AsBaseIn,
    BackendOut,
    ComparedOut,
    CurvesOut,
    FindingOut,
    PointsOut,
    RunIn,
    RunOut,
    RunStartedOut,
)
from app.runs.service import RunRequest
from app.runs.tracking_schemas import TrackedOut
from app.sentences import N_

router = Router(prefix="/api/v1", tags=["runs"])
# More than any run has.
MOST_STEPS: Final = 2**31 - 1


@router.get("/backends")
@needs(Permission.RUN_READ)
def list_backends(backends: TheseBackends) -> list[BackendOut]:
    """What can train here besides the studio itself, and what could where its environment is named."""
    return [BackendOut.of(tool, backends.environments.get(tool), backends.launches or ()) for tool in TOOLS]


@router.get("/runs")
@needs(Permission.RUN_READ)
def list_runs(
    session: Db,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[RunOut]:
    """Runs, newest first."""
    return [RunOut.of(run, job) for run, job in service.list_runs(session, offset=offset, limit=limit)]


@router.post("/runs", status_code=201)
@needs(Permission.RUN_START)
def start_run(
    session: Db,
    actor: CurrentActor,
    judging: AppJudging,
    backends: TheseBackends,
    surroundings: TheseSurroundings,
    response: Response,
    body: RunIn,
    idempotency_key: Annotated[str, Header(max_length=80)] = "",
) -> RunStartedOut:
    """Start a run. Send an `Idempotency-Key`: the same key again answers 200 with the first run."""
    request = body.request(idempotency_key, body.name)
    suites = [suite.name for suite in judging.suites()]
    ground = surroundings.ground_of_checks(body.mask_check_id, body.mix_check_id)
    run, created = service.start_run(session, actor, request, suites=suites, backends=backends, ground=ground)
    job = service.run_job(session, run)
    if not created:
        response.status_code = 200
    return RunStartedOut.answer(run, job, created=created)


@router.post("/runs/{run_id}/again/preflight")
@needs(Permission.RUN_READ)
def look_before_again(
    session: Db,
    actor: CurrentActor,
    book: AppRecipes,
    backends: TheseBackends,
    surroundings: TheseSurroundings,
    run_id: int,
    body: AgainIn | None = None,
) -> PreflightOut:
    """What stands against making the run once more. Starts nothing."""
    ground = surroundings.ground_of_run(run_id)
    first, asked = service.require_run(session, run_id), body or AgainIn()
    request = _again(session, book, first, asked)
    items = service.look_before(
        session, actor, request, suites=first.evaluate_with, backends=backends, ground=ground
    )
    return PreflightOut.of(items, asked.accepted_warnings, request.override_reason, first.preflight)


@router.post("/runs/{run_id}/again", status_code=201)
@needs(Permission.RUN_START)
def start_again(
    session: Db,
    actor: CurrentActor,
    book: AppRecipes,
    response: Response,
    backends: TheseBackends,
    surroundings: TheseSurroundings,
    run_id: int,
    body: AgainIn | None = None,
    idempotency_key: Annotated[str, Header(max_length=80)] = "",
) -> RunStartedOut:
    """The run once more, on the same arrays with the same config: the same device gives the same losses. With `changes` a new run
    like it, otherwise in these fields. What was accepted of its pre-flight stays so where the evidence is the same."""
    ground = surroundings.ground_of_run(run_id)
    first = service.require_run(session, run_id)
    request = _again(session, book, first, body or AgainIn(), idempotency_key)
    run, created = service.start_run(
        session, actor, request, suites=first.evaluate_with, backends=backends, ground=ground
    )
    if not created:
        response.status_code = 200
    return RunStartedOut.answer(run, service.run_job(session, run), created=created)


def _again(session: Session, book: RecipeBook, run: Run, asked: AgainIn, key: str = "") -> RunRequest:
    """What is asked for: the very run, or one like it."""
    if asked.changes:
        return request_alike(session, book, run, asked.changes, asked.accepted_warnings, key)
    return request_again(session, run, asked.accepted_warnings, key)


@router.post("/runs/{run_id}/base-model", status_code=201)
@needs(Permission.BASE_MODEL_ADD)
def add_as_base_model(
    session: Db, actor: CurrentActor, run_id: int, body: AsBaseIn | None = None
) -> BaseModelOut:
    """Make the model of a full fine-tune a base model that other runs begin from; doing so again is harmless."""
    run = service.require_run(session, run_id)
    model, job = use_as_base(session, actor, run, body.name if body else "")
    return BaseModelOut.of(model, job)


@router.get("/runs/{run_id}/manifest")
@needs(Permission.RUN_READ)
def get_manifest(session: Db, run_id: int) -> Manifest:
    """All that the run's numbers follow from: hashes of data and masks, base model, config, seed, libraries, device."""
    return manifest_of(session, service.require_run(session, run_id))


@router.get("/runs/compare")
@needs(Permission.RUN_READ)
def compare_runs(
    session: Db, storage: AppStorage, run: Annotated[list[int], Query(max_length=20)]
) -> ComparedOut:
    """Two to four runs side by side: what differs in data, masks, base model, config, seed, libraries and device, and in
    what came of them."""
    runs = require_runs(session, run)
    found, came = differences(session, runs), [reached(session, one) for one in runs]
    return ComparedOut.of(runs, found, came, data_changes(session, storage, runs))


@router.get("/runs/{run_id}")
@needs(Permission.RUN_READ)
def get_run(session: Db, run_id: int) -> RunOut:
    """One run."""
    run = service.require_run(session, run_id)
    return RunOut.of(run, service.run_job(session, run))


@router.post("/runs/{run_id}/stop")
@needs(Permission.RUN_STOP)
def stop_run(
    session: Db,
    storage: AppStorage,
    actor: CurrentActor,
    run_id: int,
    how: StopRequest = StopRequest.CANCEL,
) -> RunOut:
    """Stop a run: `cancel` makes no model of it, `save` makes one of what it has learned, `pause` is as `/pause`."""
    run = service.require_run(session, run_id)
    return RunOut.of(run, stopping.stop_run(session, storage, actor, run, how))


@router.post("/runs/{run_id}/pause")
@needs(Permission.RUN_STOP)
def pause_run(session: Db, storage: AppStorage, actor: CurrentActor, run_id: int) -> RunOut:
    """Pause a run: after the step under way it leaves a checkpoint and frees its place for others."""
    run = service.require_run(session, run_id)
    return RunOut.of(run, stopping.stop_run(session, storage, actor, run, StopRequest.PAUSE))


@router.post("/runs/{run_id}/resume")
@needs(Permission.RUN_STOP)
def resume_run(session: Db, actor: CurrentActor, run_id: int) -> RunOut:
    """Let a paused run go on where it stood, once a worker is free; its losses are those of one that never paused."""
    run = service.require_run(session, run_id)
    return RunOut.of(run, stopping.resume_run(session, actor, run))


@router.get("/runs/{run_id}/events", response_class=EventSourceResponse)
@needs(Permission.RUN_READ)
def stream_run(
    request: Request,
    engine: AppEngine,
    session: Db,
    actor: CurrentActor,
    run_id: int,
    after: After = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventSourceResponse:
    """Live events of a run as server-sent events, replayed after `Last-Event-ID`, or else after `after`."""
    run = service.require_run(session, run_id)
    return stream_events(engine, run.job_id, last_event_id, request.app.state.streams, actor, after=after)


@router.get("/runs/{run_id}/curves")
@needs(Permission.RUN_READ)
def get_curves(
    session: Db,
    run_id: int,
    from_step: Annotated[int, Query(ge=0, le=MOST_STEPS)] = 0,
    to_step: Annotated[int, Query(ge=0, le=MOST_STEPS)] = MOST_STEPS,
) -> CurvesOut:
    """The curves so far, all or between two steps, thinned to 2,000 points; then follow the events after `last_seq`."""
    run = service.require_run(session, run_id)
    return CurvesOut.of(read_curves(session, service.run_job(session, run), steps=(from_step, to_step)))


@router.get("/runs/{run_id}/points")
@needs(Permission.RUN_READ)
def list_points(
    session: Db,
    run_id: int,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> PointsOut:
    """Every training point, page by page, in order of step; none is left out."""
    run = service.require_run(session, run_id)
    points = read_whole_curves(session, service.run_job(session, run)).metrics
    return PointsOut.model_validate({"total": len(points), "points": points[offset : offset + limit]})


@router.get("/runs/{run_id}/diagnosis")
@needs(Permission.RUN_READ)
def get_diagnosis(session: Db, run_id: int) -> list[FindingOut]:
    """What is wrong with the run so far, by its curves: overfitting, explosion and so on, each with its remedy. Often nothing."""
    run = service.require_run(session, run_id)
    return [FindingOut.of(run, finding) for finding in diagnose_run(session, run)]


@router.get("/runs/{run_id}/samples")
@needs(Permission.RUN_READ)
def list_samples(session: Db, run_id: int) -> list[SamplePayload]:
    """The sample answers so far, by step, then prompt."""
    run = service.require_run(session, run_id)
    return read_samples(session, service.run_job(session, run)).of_all()


@router.get("/runs/{run_id}/trackers")
@needs(Permission.RUN_READ)
def list_trackers(session: Db, settings: AppSettings, run_id: int) -> list[TrackedOut]:
    """How the run stands with MLflow and Weights & Biases, where the settings name them: its address there, how far it was told."""
    run = service.require_run(session, run_id)
    return TrackedOut.of_run(session, run.id or 0, settings)


@router.get("/runs/{run_id}/log", response_class=PlainTextResponse)
@needs(Permission.RUN_READ_LOG)
def get_log(session: Db, storage: AppStorage, run_id: int) -> PlainTextResponse:
    """The last lines of the latest attempt's log as plain text."""
    job = service.run_job(session, service.require_run(session, run_id))
    let_go(session)
    return PlainTextResponse("\n".join(log_tail(storage, job)))


@router.get("/runs/{run_id}/artifacts")
@needs(Permission.RUN_READ)
def list_artifacts(session: Db, run_id: int) -> list[ArtifactOut]:
    """Published files of a run."""
    service.require_run(session, run_id)
    return [ArtifactOut.of(artifact) for artifact in artifacts(session, run_id)]


@router.get("/runs/{run_id}/artifacts/{artifact_id}/content", response_class=FileResponse)
@needs(Permission.RUN_DOWNLOAD)
def download_artifact(
    session: Db,
    engine: AppEngine,
    storage: AppStorage,
    actor: CurrentActor,
    run_id: int,
    artifact_id: int,
) -> FileResponse:
    """One published file; that it went out is kept."""
    artifact = require_artifact(session, run_id, artifact_id)
    let_go(session)
    path = storage.path(artifact.storage_key)
    if not path.is_file():
        raise NotFound(N_("The file %(name)s is gone from the disk."), name=artifact.name)
    with transaction(engine) as writing:
        record(writing, actor, "run.download", f"run/{run_id} {artifact.name}")
    name = artifact.name.rsplit("/", 1)[-1]
    return FileResponse(path, filename=name, media_type="application/octet-stream")
