"""The page of a mask check: everything it found, with a way to each failing token."""

from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from sqlmodel import Session, col, select

from app.accounts.access import AnyActor
from app.accounts.models import Role
from app.base_models.service import require_base_model
from app.conversations.models import Conversation
from app.core.i18n import N_, gettext, translate
from app.core.templating import is_htmx, render
from app.core.web import Db
from app.datasets.service import require_dataset
from app.datasets.versions import require_version
from app.jobs.newest import last_event
from app.jobs.service import require_job
from app.masking import MaskSettings
from app.previews import check_texts
from app.previews.choices import Choices
from app.runs.mask_checks import require_mask_check

router = APIRouter(prefix="/mask-checks", include_in_schema=False)

# A conversation without an exact mask is listed beside the failed checks.
CHECK_LABELS: Final = {**check_texts.CHECK_LABELS, "refused": N_("An exact mask exists")}


@dataclass(frozen=True)
class Bar:
    """One bin of a histogram."""

    label: str
    count: int


def _bars(histogram: dict[str, Any] | None, *, percent: bool, bins: int = 10) -> list[Bar]:
    """At most `bins` bars, without the empty ones at both ends."""
    if not histogram:
        return []
    edges, counts = histogram["edges"], histogram["counts"]
    width = max(1, -(-len(counts) // bins)) if percent else 1
    found = []
    for start in range(0, len(counts), width):
        low, high = edges[start], edges[min(start + width, len(edges) - 1)]
        label = f"{low * 100:.0f}–{high * 100:.0f} %" if percent else f"{low:,.0f}–{high:,.0f}"
        found.append(Bar(label, sum(counts[start : start + width])))
    filled = [place for place, bar in enumerate(found) if bar.count]
    return found[filled[0] : filled[-1] + 1] if filled else []


def _failures(session: Session, report: dict[str, Any], preview: Choices) -> list[dict[str, Any]]:
    listed = report.get("failures") or []
    ids = {failure["conversation_id"] for failure in listed}
    titles = dict(
        session.exec(select(Conversation.id, Conversation.title).where(col(Conversation.id).in_(ids))).all()
    )
    found = []
    for failure in listed:
        conversation_id, token = failure["conversation_id"], failure.get("token")
        href = preview.address(conversation_id, sample=failure.get("sample") or 0, token=token)
        found.append(
            {
                "title": titles.get(conversation_id),
                "id": conversation_id,
                "href": href,
                "token": token,
                "check": gettext(CHECK_LABELS.get(failure["check"], failure["check"])),
                "detail": translate(failure.get("message") or failure["detail"], failure.get("params") or {}),
            }
        )
    return found


@router.get("/{mask_check_id}", response_model=None)
def mask_check_page(request: Request, session: Db, actor: AnyActor, mask_check_id: int) -> Response:
    """The report; while it is being made, its progress."""
    check = require_mask_check(session, mask_check_id)
    version = require_version(session, check.dataset_version_id)
    report = check.report or {}
    job = require_job(session, check.job_id)
    # The preview under the check's own settings: only there does a failure's token have the same number.
    preview = Choices(MaskSettings(**check.settings), base_model_id=check.base_model_id)
    context = {
        "check": check,
        "job": job,
        "version": version,
        "dataset": require_dataset(session, version.dataset_id),
        "model": require_base_model(session, check.base_model_id),
        "report": report,
        "check_labels": CHECK_LABELS,
        "failures": _failures(session, report, preview),
        "preview": preview,
        "ratio_bars": _bars(report.get("trained_ratio"), percent=True),
        "length_bars": _bars(report.get("lengths"), percent=False),
        "progress": None if job.is_final else last_event(session, check.job_id, "progress"),
        "may_start": actor.role.includes(Role.ENGINEER),
    }
    name = "mask_checks/_report.html" if is_htmx(request) else "mask_checks/page.html"
    return render(request, name, context)
