"""REST for the checkpoints of a run: what there is, and a run that goes on from one or keeps it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.database import let_go
from app.core.routing import Router
from app.core.web import AppStorage, Db
from app.runs import service
from app.runs.backends import TheseBackends
from app.runs.checkpoint_schemas import CheckpointOut, ContinueIn, KeepIn, OnwardPlanIn
from app.runs.checkpoints import lines_of, remove_checkpoints, told_checkpoints
from app.runs.onward import Onward, go_on, request_onward
from app.runs.preflight.ground import TheseSurroundings
from app.runs.preflight.schemas import PreflightOut
from app.runs.schemas import RunOut

router = Router(prefix="/api/v1/runs/{run_id}/checkpoints", tags=["runs"])
Key = Annotated[str, Header(max_length=80, alias="Idempotency-Key")]


@router.get("")
@needs(Permission.RUN_READ)
def list_checkpoints(session: Db, storage: AppStorage, run_id: int) -> list[CheckpointOut]:
    """Every checkpoint that was written, by step, and whether it is still there."""
    run = service.require_run(session, run_id)
    job, told = service.run_job(session, run), told_checkpoints(session, run)
    let_go(session)
    return [CheckpointOut.of(line) for line in lines_of(storage, run, job, told)]


@router.post("/{step}/preflight")
@needs(Permission.RUN_READ)
def look_before(
    session: Db,
    storage: AppStorage,
    actor: CurrentActor,
    backends: TheseBackends,
    surroundings: TheseSurroundings,
    run_id: int,
    step: int,
    body: OnwardPlanIn | None = None,
) -> PreflightOut:
    """What stands against going on from this checkpoint, or against keeping it. Starts nothing."""
    asked = body or OnwardPlanIn()
    ground = surroundings.ground_of_run(run_id)
    first = service.require_run(session, run_id)
    onward = Onward(step, asked.changes, keeps=asked.keep)
    request = request_onward(session, storage, first, onward, asked.accepted_warnings)
    items = service.look_before(
        session, actor, request, suites=first.evaluate_with, backends=backends, ground=ground
    )
    return PreflightOut.of(items, asked.accepted_warnings, request.override_reason, first.preflight)


@dataclass(frozen=True)
class Door:
    """What it takes to go on from a checkpoint of the run in the address."""

    session: Db
    storage: AppStorage
    actor: CurrentActor
    backends: TheseBackends
    surroundings: TheseSurroundings
    response: Response
    run_id: int
    idempotency_key: Key = ""

    def go_on(self, onward: Onward, accepted: Collection[str]) -> RunOut:
        """The run that goes on; 200 in place of 201 where an earlier request with the same key began it."""
        ground = self.surroundings.ground_of_run(self.run_id)
        run, created = go_on(
            self.session,
            self.storage,
            self.actor,
            service.require_run(self.session, self.run_id),
            onward,
            backends=self.backends,
            ground=ground,
            accepted=accepted,
            key=self.idempotency_key,
        )
        if not created:
            self.response.status_code = 200
        return RunOut.of(run, service.run_job(self.session, run))


@router.post("/{step}/continue", status_code=201)
@needs(Permission.RUN_START)
def continue_run(door: Annotated[Door, Depends()], step: int, body: ContinueIn | None = None) -> RunOut:
    """A new run that goes on where this checkpoint stands. Nothing changed, its losses are those of a run that never stopped.
    What was accepted of the run's pre-flight stays so where the evidence is the same."""
    asked = body or ContinueIn()
    return door.go_on(Onward(step, asked.changes), asked.accepted_warnings)


@router.post("/{step}/keep", status_code=201)
@needs(Permission.RUN_START)
def keep_checkpoint(door: Annotated[Door, Depends()], step: int, body: KeepIn | None = None) -> RunOut:
    """A new run whose model is this checkpoint as it is, measured on what was held out. What was accepted of the run's pre-flight
    stays so where the evidence is the same."""
    return door.go_on(Onward(step, keeps=True), body.accepted_warnings if body else ())


@router.delete("", status_code=204)
@needs(Permission.RUN_START)
def delete_checkpoints(session: Db, storage: AppStorage, actor: CurrentActor, run_id: int) -> None:
    """Free the disk of what the run left; its model, curves and log stay."""
    remove_checkpoints(session, storage, actor, service.require_run(session, run_id))
