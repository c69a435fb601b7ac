"""The walk through the conversations of a mask check that deserve a look: who, why, who comes next."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from app.core.errors import Invalid
from app.core.i18n import gettext
from app.mask_checks.check_texts import REPORT_LABELS
from app.mask_checks.models import MaskCheck
from app.mask_checks.report import MaskReport, ReportReason
from app.mask_settings.choices import Choices
from app.masking import SuspectKind
from app.sentences import N_

KIND_LABELS: Final[Mapping[str, str]] = {
    SuspectKind.FAILED: N_("Failed a check"),
    SuspectKind.REFUSED: N_("No exact mask"),
    SuspectKind.CUT: N_("Cut"),
    SuspectKind.CONTROL_TOKENS: N_("Control tokens in the text"),
    SuspectKind.REWRITTEN: N_("Rewritten by the template"),
    SuspectKind.NOT_SHOWN: N_("Not shown as written"),
    SuspectKind.LEFT_OUT: N_("Left out by the template"),
    SuspectKind.SHARE: N_("Unusual share of trained tokens"),
    SuspectKind.LENGTH: N_("Unusual length"),
}
_NO_REASON: Final = N_("The check is older than the reasons; it only says that this one is worth a look.")


@dataclass(frozen=True)
class Why:
    """One reason in the reader's language. `label` is the failed check or the kind."""

    kind: str
    label: str
    text: str
    sample: int = 0
    token: int | None = None
    check: str | None = None


@dataclass
class Suspect:
    """A conversation and why it is worth a look, the worst reason first."""

    conversation_id: int
    reasons: list[Why] = field(default_factory=list)

    def first(self, kind: str = "") -> Why | None:
        """The worst reason, or the worst of one kind."""
        return next((reason for reason in self.reasons if kind in ("", reason.kind)), None)


def suspects_of(report: MaskReport | None) -> list[Suspect]:
    """All that are listed, in the order of the walk; none before there is a report."""
    if report is None:
        return []
    unknown = Why("", gettext("Worth a look"), gettext(_NO_REASON))
    return [
        Suspect(one.conversation_id, [_why(reason) for reason in one.reasons] or [unknown])
        for one in report.suspects
    ]


def _why(reason: ReportReason) -> Why:
    label = gettext(KIND_LABELS[reason.kind])
    if reason.check and reason.kind is SuspectKind.FAILED:
        label = gettext("Failed: %(check)s") % {
            "check": gettext(REPORT_LABELS.get(reason.check, reason.check))
        }
    return Why(reason.kind, label, reason.detail, reason.sample or 0, reason.token, reason.check)


def kinds_of(report: MaskReport | None, suspects: list[Suspect]) -> list[tuple[str, str, int, int]]:
    """(kind, label, listed, in all) of what there is, the worst first."""
    listed = Counter(kind for one in suspects for kind in {reason.kind for reason in one.reasons})
    counted = report.suspect_counts if report else {}
    return [
        (kind, gettext(KIND_LABELS[kind]), listed[kind], max(listed[kind], counted.get(kind, 0)))
        for kind in SuspectKind
        if listed[kind]
    ]


def check_choices(check: MaskCheck, conversation_id: int, only: str = "") -> Choices:
    """The preview of a frozen conversation under exactly the check's settings and model."""
    return Choices(
        check.settings.to_settings(),
        path=f"/mask-checks/{check.id}/conversations/{conversation_id}/mask",
        base_model_id=check.base_model_id,
        way=f"?only={only}" if only else "",
    )


def address_of(check: MaskCheck, suspect: Suspect, only: str = "") -> str:
    """Where a suspect is looked at: its sample, at the token."""
    why = suspect.first(only)
    choices = check_choices(check, suspect.conversation_id, only)
    return choices.address(sample=why.sample, token=why.token) if why else choices.address()


@dataclass(frozen=True)
class Step:
    """A reason on the page of the walk, with the way to its token."""

    why: Why
    href: str
    here: bool


@dataclass(frozen=True)
class Walk:
    """Where one stands; `number` is None for a conversation that is not among them."""

    number: int | None
    total: int
    only_label: str
    steps: list[Step]
    back: str
    # The walk through all kinds, from here.
    everyone: str
    before: str | None
    after: str | None
    # The page under the check's own settings, where others were chosen.
    own_settings: str | None


def row_of(check: MaskCheck, only: str = "") -> list[Suspect]:
    """Those on the walk, in its order. Raises Invalid for a kind that there is not."""
    if only and only not in KIND_LABELS:
        raise Invalid(N_("There is no such reason to look at a conversation."), field="only")
    return [one for one in suspects_of(check.report) if one.first(only)]


def walk_at(check: MaskCheck, choices: Choices, conversation_id: int, only: str = "") -> Walk:
    """The walk as one conversation's page shows it. Raises Invalid for a kind that there is not."""
    everyone, row = suspects_of(check.report), row_of(check, only)
    place = next((at for at, one in enumerate(row) if one.conversation_id == conversation_id), None)
    own = next((one for one in everyone if one.conversation_id == conversation_id), Suspect(conversation_id))
    asked = check_choices(check, conversation_id, only)
    changed = replace(choices, sample=0, token=None) != asked
    before = row[place - 1] if place else None
    # From outside the walk, next is its beginning.
    after = next(iter(row[0 if place is None else place + 1 :]), None)
    return Walk(
        number=None if place is None else place + 1,
        total=len(row),
        only_label=gettext(KIND_LABELS[only]) if only else "",
        steps=[
            Step(
                why,
                asked.address(sample=why.sample, token=why.token),
                why.sample == choices.sample and not changed,
            )
            for why in own.reasons
        ],
        back=f"/mask-checks/{check.id}",
        everyone=address_of(check, own),
        before=address_of(check, before, only) if before else None,
        after=address_of(check, after, only) if after else None,
        own_settings=asked.address() if changed else None,
    )
