"""Pages of mask checks: those of a version, and one with everything it found and a way to each failing token."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Query, Request, Response
from sqlmodel import Session

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.base_models.models import ModelEntry
from app.base_models.service import require_base_model
from app.conversations.messages import title_of
from app.core.database import LARGEST_ID, let_go
from app.core.errors import StudioError
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.storage import Storage
from app.core.templating import is_htmx, render
from app.core.web import PAGE_SIZE, AppStorage, Db
from app.datasets.models import Dataset
from app.datasets.service import require_dataset
from app.jobs.events import ProgressPayload
from app.jobs.models import Job
from app.jobs.newest import last_event
from app.jobs.service import require_job
from app.mask_checks.check_texts import REPORT_LABELS
from app.mask_checks.models import MaskCheck
from app.mask_checks.report import Distribution
from app.mask_checks.service import (
    count_mask_checks,
    list_mask_checks,
    newest_mask_checks,
    require_mask_check,
)
from app.mask_checks.suspects import address_of, check_choices, kinds_of, suspects_of
from app.mask_checks.use import AppCheckUse, CheckUse
from app.mask_settings.words import settings_in_brief, settings_in_words
from app.masking import SuspectKind
from app.versions.frozen import frozen_conversation
from app.versions.models import DatasetVersion
from app.versions.service import require_version

router = Router(prefix="/mask-checks", include_in_schema=False)

# So many are listed; the walk goes through all.
FIRST_SUSPECTS: Final = 10
FIRST_FAILURES: Final = 10
Titles = Callable[[int], str]


@dataclass(frozen=True)
class Bar:
    """One bin of a histogram."""

    label: str
    count: int


@dataclass(frozen=True)
class Row:
    """A check and what it is of; `runs` were started on it, `settings` are in words."""

    check: MaskCheck
    job: Job
    model: ModelEntry
    version: DatasetVersion
    dataset: Dataset
    runs: int
    settings: str


def _bars(histogram: Distribution | None, *, percent: bool, bins: int = 10) -> list[Bar]:
    """At most `bins` bars, without the empty ones at both ends."""
    if histogram is None:
        return []
    edges, counts = histogram.edges, histogram.counts
    width = max(1, -(-len(counts) // bins)) if percent else 1
    found = []
    for start in range(0, len(counts), width):
        low, high = edges[start], edges[min(start + width, len(edges) - 1)]
        label = f"{low * 100:.0f}–{high * 100:.0f} %" if percent else f"{low:,.0f}–{high:,.0f}"
        found.append(Bar(label, sum(counts[start : start + width])))
    filled = [place for place, bar in enumerate(found) if bar.count]
    return found[filled[0] : filled[-1] + 1] if filled else []


@dataclass(frozen=True)
class FailureRow:
    """A failure with the way to its token."""

    conversation_id: int
    title: str
    href: str
    token: int | None
    check: str
    detail: str


def _failures(check: MaskCheck, titles: Titles) -> list[FailureRow]:
    """The first of them."""
    if check.report is None:
        return []
    return [
        FailureRow(
            conversation_id=failure.conversation_id,
            title=titles(failure.conversation_id),
            href=check_choices(check, failure.conversation_id).address(
                sample=failure.sample or 0, token=failure.token
            ),
            token=failure.token,
            check=gettext(REPORT_LABELS.get(failure.check, failure.check)),
            detail=failure.detail,
        )
        for failure in check.report.failures[:FIRST_FAILURES]
    ]


def _titles(session: Session, storage: Storage, version: DatasetVersion) -> Titles:
    """Names conversations by what the version froze; a file that is gone or damaged leaves the number."""

    def title(conversation_id: int) -> str:
        number = gettext("Conversation %(id)s") % {"id": conversation_id}
        let_go(session)
        try:
            return title_of(frozen_conversation(storage, version, conversation_id)["messages"]) or number
        except StudioError:
            return number

    return title


@router.get("", response_model=None)
@needs(Permission.MASK_CHECK_READ)
def mask_checks_page(
    request: Request,
    session: Db,
    use: AppCheckUse,
    version: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:
    """Checks, newest first, all or those of a dataset version; the table alone for htmx."""
    chosen = require_version(session, version) if version is not None else None
    checks = (
        list_mask_checks(session, version)
        if version is not None
        else newest_mask_checks(session, offset=offset, limit=PAGE_SIZE)
    )
    rows = [_row(session, use, check) for check in checks]
    context = {
        "version": chosen,
        "dataset": require_dataset(session, chosen.dataset_id) if chosen else None,
        "rows": rows,
        "in_progress": any(not row.job.is_final for row in rows),
        "offset": offset,
        "page_size": PAGE_SIZE,
        "total": count_mask_checks(session),
    }
    name = "mask_checks/_table.html" if is_htmx(request) else "mask_checks/list.html"
    return render(request, name, context)


def _row(session: Session, use: CheckUse, check: MaskCheck) -> Row:
    version = require_version(session, check.dataset_version_id)
    return Row(
        check,
        require_job(session, check.job_id),
        require_base_model(session, check.base_model_id),
        version,
        require_dataset(session, version.dataset_id),
        len(use.runs_of(session, check.id or 0)),
        settings_in_brief(check.settings.to_settings()),
    )


@router.get("/{mask_check_id}", response_model=None)
@needs(Permission.MASK_CHECK_READ)
def mask_check_page(
    request: Request,
    session: Db,
    storage: AppStorage,
    use: AppCheckUse,
    mask_check_id: int,
) -> Response:
    """The report; while it is being made, its progress."""
    check = require_mask_check(session, mask_check_id)
    version = require_version(session, check.dataset_version_id)
    report = check.report
    job = require_job(session, check.job_id)
    titles = _titles(session, storage, version)
    suspects = suspects_of(report)
    failures = _failures(check, titles)
    # The failures have a table of their own; the walk goes through all.
    others = [one for one in suspects if one.reasons[0].kind not in (SuspectKind.FAILED, SuspectKind.REFUSED)]
    context = {
        "check": check,
        "job": job,
        "version": version,
        "dataset": require_dataset(session, version.dataset_id),
        "model": require_base_model(session, check.base_model_id),
        "report": report,
        "settings": settings_in_words(check.settings.to_settings()),
        "check_labels": REPORT_LABELS,
        "failures": failures,
        "more_failing": report.failing_conversations - len({one.conversation_id for one in failures})
        if report
        else 0,
        "suspects": [
            (titles(one.conversation_id), one.reasons, address_of(check, one))
            for one in others[:FIRST_SUSPECTS]
        ],
        "suspect_count": len(suspects),
        "other_count": len(others),
        "walk_href": address_of(check, suspects[0]) if suspects else None,
        "kinds": [
            (label, total, address_of(check, next(one for one in suspects if one.first(kind)), kind))
            for kind, label, _listed, total in kinds_of(report, suspects)
        ],
        "runs": use.runs_of(session, mask_check_id),
        "ratio_bars": _bars(report.trained_ratio if report else None, percent=True),
        "length_bars": _bars(report.lengths if report else None, percent=False),
        "progress": None if job.is_final else last_event(session, check.job_id, ProgressPayload),
    }
    name = "mask_checks/_report.html" if is_htmx(request) else "mask_checks/page.html"
    return render(request, name, context)
