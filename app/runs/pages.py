"""Pages of runs: the list, and one run live."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.database import LARGEST_ID, let_go, utc_now
from app.core.i18n import get_locale, gettext
from app.core.routing import Router
from app.core.templating import is_htmx, render, toast
from app.core.web import PAGE_SIZE, AppSettings, AppStorage, Db
from app.datasets.service import require_dataset
from app.jobs.events import CheckpointPayload, EvalPayload, EventKind, MetricPayload, Phase, ProgressPayload
from app.jobs.models import Job, JobState, StopRequest
from app.jobs.newest import last_event, last_events
from app.mask_settings.words import settings_in_words
from app.recipes.fields import FIELD_GROUPS, displayed
from app.runs import service, stopping
from app.runs.advice import remedy_for
from app.runs.artifacts import artifacts
from app.runs.beginning_words import against_earlier, beginning_words
from app.runs.changes import RECIPE_TITLES, changes_of, telling
from app.runs.checkpoint_pages import checkpoints_context
from app.runs.comparing import MOST_COMPARED
from app.runs.curves import read_curves
from app.runs.device import ThisMachine
from app.runs.diagnosis import changed_fields, diagnose_run, new_run_address
from app.runs.elsewhere import AppElsewhere, shown_elsewhere
from app.runs.judging import AppJudging
from app.runs.lineage import lineage_of
from app.runs.logs import log_tail, tensorboard_command
from app.runs.losses import read_losses
from app.runs.models import Run
from app.runs.placing import place_for
from app.runs.planning import expected_memory
from app.runs.preflight.items import Name
from app.runs.samples import read_samples
from app.runs.story import read_story
from app.runs.tracking_pages import trackers_context
from app.runs.waiting import AppWaiting, Waiting, WaitsFor
from app.sentences import N_
from app.versions.service import require_version

router = Router(prefix="/runs", include_in_schema=False)
TABLE_ROWS: Final = 40
SAMPLE_ROUNDS: Final = 12
_ASKED: Final = {
    StopRequest.SAVE: N_("Asked to stop and save. The step under way is finished first."),
    StopRequest.CANCEL: N_("Asked to cancel."),
    StopRequest.PAUSE: N_("Asked to pause. The step under way is finished first."),
}

# What a person follows; several phases of a job belong to one step.
STEPS: Final = ("queued", "preparing", "training", "saving", "done")
_STEP_OF_PHASE: Final[dict[str, str]] = {
    Phase.TRAINING: "training",
    Phase.EVALUATING: "training",
    Phase.SAVING: "saving",
}


def current_step(job: Job, progress: ProgressPayload | None) -> str:
    """Where in `STEPS` a job is. Saving before the last step is a checkpoint, so still training."""
    if job.state is JobState.QUEUED or (job.state is JobState.PAUSED and not progress):
        return "queued"
    if job.state is JobState.PAUSED:
        return "training"
    if job.state is JobState.SUCCEEDED:
        return "done"
    step = _STEP_OF_PHASE.get(job.phase, "preparing")
    if step == "saving" and progress and job.stop_requested is None:
        unfinished = progress.get("step", 0) < progress.get("total_steps", 0)
        return "training" if unfinished else "saving"
    return step


def clock(seconds: float | None) -> str:
    """Seconds as 0:45, 3:20 or 2:05:09."""
    if seconds is None:
        return "–"
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def elapsed(job: Job, now: datetime) -> str:
    """How long workers have been or were at it, without what it waited or was paused."""
    return clock(job.seconds_worked(now))


@router.get("", response_model=None)
@needs(Permission.RUN_READ)
def list_page(
    request: Request,
    session: Db,
    judging: AppJudging,
    waiting: AppWaiting,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    version: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
) -> Response:
    """Runs, newest first, all or those on a dataset version; the table alone for htmx."""
    chosen = require_version(session, version) if version is not None else None
    rows = service.list_runs(session, offset=offset, limit=PAGE_SIZE, version_id=version)
    verdicts = judging.verdicts(session, [run.id for run, _job in rows if run.id is not None])
    kinds = (EventKind.METRIC, EventKind.PROGRESS, EventKind.EVAL)
    events = last_events(session, [run.job_id for run, _job in rows], kinds)
    now = utc_now()
    queued = any(job.state is JobState.QUEUED for _run, job in rows)
    places = waiting.of_jobs(session) if queued else {}
    context = {
        "rows": [
            {
                "run": run,
                "job": job,
                "metric": events.get((run.job_id, EventKind.METRIC)),
                "progress": events.get((run.job_id, EventKind.PROGRESS)),
                "eval": events.get((run.job_id, EventKind.EVAL)),
                "changes": (changes := changes_of(run)),
                "telling": telling(changes),
                "elapsed": elapsed(job, now),
                "verdict": verdicts.get(run.id or 0),
                "waits": places.get(run.job_id),
            }
            for run, job in rows
        ],
        "recipe_titles": RECIPE_TITLES,
        "version": chosen,
        "dataset": require_dataset(session, chosen.dataset_id) if chosen else None,
        "in_progress": any(not job.is_final for _run, job in rows),
        "offset": offset,
        "page_size": PAGE_SIZE,
        "total": service.count_runs(session, version_id=version),
        "most_compared": MOST_COMPARED,
    }
    return render(request, "runs/_table.html" if is_htmx(request) else "runs/list.html", context)


def _place_of(session: Db, waiting: Waiting, job: Job) -> WaitsFor | None:
    """How far from its beginning a waiting job is."""
    return waiting.of_jobs(session).get(job.id or 0) if job.state is JobState.QUEUED else None


def _run_context(session: Db, waiting: Waiting, run: Run) -> dict[str, Any]:
    """What every part of the run's page reads."""
    job = service.run_job(session, run)
    progress = last_event(session, run.job_id, ProgressPayload)
    return {
        "run": run,
        "job": job,
        "progress": progress,
        "metric": last_event(session, run.job_id, MetricPayload),
        "eval": last_event(session, run.job_id, EvalPayload),
        "checkpoint": last_event(session, run.job_id, CheckpointPayload),
        "losses": read_losses(session, job),
        "steps": STEPS,
        "step": current_step(job, progress),
        "elapsed": elapsed(job, utc_now()),
        "clock": clock,
        "remedy": remedy_for(run, job),
        "waits": _place_of(session, waiting, job),
    }


@router.get("/{run_id}", response_model=None)
@needs(Permission.RUN_READ)
def run_page(
    request: Request,
    session: Db,
    storage: AppStorage,
    judging: AppJudging,
    waiting: AppWaiting,
    elsewhere: AppElsewhere,
    machine: ThisMachine,
    settings: AppSettings,
    run_id: int,
    already: bool = False,
) -> Response:
    """One run: everything stored about it, and live from there."""
    run = service.require_run(session, run_id)
    lineage, job = lineage_of(session, run), service.run_job(session, run)
    place = place_for(session, machine, job.device or job.device_wanted)
    context = {
        **_run_context(session, waiting, run),
        **lineage,
        **_result_context(session, judging, run),
        **_values_context(session, run),
        **_diagnosis_context(session, run),
        **_samples_context(session, run),
        **shown_elsewhere(elsewhere, session, run),
        **trackers_context(session, settings, run),
        "preflight_headings": {name.value: gettext(name.heading) for name in Name},
        "settings": settings_in_words(lineage["check"].settings.to_settings()),
        "groups": FIELD_GROUPS,
        "config_values": displayed(run.config),
        "recipe_titles": RECIPE_TITLES,
        "changes": changes_of(run),
        "begins": beginning_words(run) if run.begins else None,
        "against": against_earlier(session, run),
        "expected_memory": expected_memory(
            run.config,
            lineage["check"],
            lineage["mixed_in"].check if lineage["mixed_in"] else None,
            lineage["model"].info,
            place.device if place else None,
        ),
        "already": already,
        "story": read_story(session, job),
    }
    context |= checkpoints_context(session, storage, run)
    context["log"] = log_tail(storage, job)
    context["tensorboard"] = tensorboard_command(storage, job)
    return render(request, "runs/page.html", context)


@router.get("/{run_id}/status", response_model=None)
@needs(Permission.RUN_READ)
def run_status(request: Request, session: Db, waiting: AppWaiting, run_id: int) -> Response:
    """Phases, figures and, at the end, what came of it."""
    run = service.require_run(session, run_id)
    return render(request, "runs/_status.html", _run_context(session, waiting, run))


@router.get("/{run_id}/actions", response_model=None)
@needs(Permission.RUN_READ)
def run_actions(request: Request, session: Db, waiting: AppWaiting, run_id: int) -> Response:
    """What can be done with the run now."""
    run = service.require_run(session, run_id)
    return render(request, "runs/_actions.html", _run_context(session, waiting, run))


def _result_context(session: Db, judging: AppJudging, run: Run) -> dict[str, Any]:
    assert run.id is not None
    titles = {suite.name: suite.title_in(get_locale()) for suite in judging.suites()}
    return {
        "artifacts": artifacts(session, run.id),
        "judgements": judging.of_run(session, run.id),
        "verdict": judging.verdicts(session, [run.id]).get(run.id),
        "suite_titles": titles,
    }


@router.get("/{run_id}/results", response_model=None)
@needs(Permission.RUN_READ)
def run_results(
    request: Request, session: Db, judging: AppJudging, waiting: AppWaiting, run_id: int
) -> Response:
    """Files and evaluations of the run."""
    run = service.require_run(session, run_id)
    context = {**_run_context(session, waiting, run), **_result_context(session, judging, run)}
    return render(request, "runs/_results.html", context)


def _samples_context(session: Db, run: Run) -> dict[str, Any]:
    samples = read_samples(session, service.run_job(session, run))
    steps = sorted(samples.rounds)
    # The first answers are the base model's; the newest stand on top.
    shown = steps if len(steps) <= SAMPLE_ROUNDS else [steps[0], *steps[1 - SAMPLE_ROUNDS :]]
    return {"samples": samples, "sample_steps": shown[::-1]}


@router.get("/{run_id}/samples", response_model=None)
@needs(Permission.RUN_READ)
def run_samples(request: Request, session: Db, run_id: int) -> Response:
    """What the model answered on its way."""
    run = service.require_run(session, run_id)
    return render(request, "runs/_samples.html", {"run": run, **_samples_context(session, run)})


def _diagnosis_context(session: Db, run: Run, *, swapped: bool = False) -> dict[str, Any]:
    found = diagnose_run(session, run)
    return {
        "findings": [
            {
                "finding": finding,
                "changes": changed_fields(run, finding),
                "new_run": new_run_address(run, finding),
            }
            for finding in found
        ],
        # Drawn on the chart, in the order of the cards.
        "marks": [
            {"step": finding.step, "curve": finding.curve, "title": gettext(finding.title)}
            for finding in found
        ],
        "swapped": swapped,
    }


def _values_context(session: Db, run: Run) -> dict[str, Any]:
    curves = read_curves(session, service.run_job(session, run), max_points=TABLE_ROWS)
    return {"curves": curves}


@router.get("/{run_id}/values", response_model=None)
@needs(Permission.RUN_READ)
def run_values(request: Request, session: Db, run_id: int) -> Response:
    """The curves as a table."""
    run = service.require_run(session, run_id)
    return render(request, "runs/_values.html", {"run": run, **_values_context(session, run)})


@router.get("/{run_id}/diagnosis", response_model=None)
@needs(Permission.RUN_READ)
def run_diagnosis(request: Request, session: Db, run_id: int) -> Response:
    """What is wrong with the run so far."""
    run = service.require_run(session, run_id)
    context = {"run": run, **_diagnosis_context(session, run, swapped=True)}
    return render(request, "runs/_diagnosis.html", context)


@router.get("/{run_id}/log", response_model=None)
@needs(Permission.RUN_READ)
def run_log(request: Request, session: Db, run_id: int) -> Response:
    """What happened so far, line by line."""
    run = service.require_run(session, run_id)
    job = service.run_job(session, run)
    return render(request, "runs/_log.html", {"run": run, "job": job, "story": read_story(session, job)})


@router.get("/{run_id}/output", response_model=None)
@needs(Permission.RUN_READ_LOG)
def run_output(request: Request, session: Db, storage: AppStorage, run_id: int) -> Response:
    """The end of what the training process printed."""
    run = service.require_run(session, run_id)
    job = service.run_job(session, run)
    let_go(session)
    return render(request, "runs/_output.html", {"run": run, "job": job, "log": log_tail(storage, job)})


@router.post("/{run_id}/stop", response_model=None)
@needs(Permission.RUN_STOP)
def stop_run(
    request: Request,
    session: Db,
    storage: AppStorage,
    actor: CurrentActor,
    waiting: AppWaiting,
    run_id: int,
    how: Annotated[StopRequest, Form()],
) -> Response:
    """Ask the run to pause, or to end: save what it has, or drop it."""
    run = service.require_run(session, run_id)
    stopping.stop_run(session, storage, actor, run, how)
    return _asked(request, session, waiting, run, _ASKED[how])


@router.post("/{run_id}/resume", response_model=None)
@needs(Permission.RUN_STOP)
def resume_run(
    request: Request, session: Db, actor: CurrentActor, waiting: AppWaiting, run_id: int
) -> Response:
    """Let a paused run go on."""
    run = service.require_run(session, run_id)
    stopping.resume_run(session, actor, run)
    return _asked(request, session, waiting, run, stopping.GOES_ON)


def _asked(request: Request, session: Db, waiting: Waiting, run: Run, said: str) -> Response:
    if not is_htmx(request):
        return RedirectResponse(f"/runs/{run.id}", status_code=303)
    response = render(request, "runs/_actions.html", _run_context(session, waiting, run))
    response.headers.update(toast(gettext(said)))
    return response
