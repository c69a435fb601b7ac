"""The audit trail as administrators read it: by person, by action, by what it was done to."""

from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, or_, select

from app.accounts.models import AuditEvent, User
from app.core.i18n import gettext
from app.sentences import N_

PAGE: Final = 100
ACTIONS: Final = {
    "sign_in": N_("Signed in"),
    "sign_in.failed": N_("Failed to sign in"),
    "sign_in.link": N_("Signed in with a link from the terminal"),
    "session.end": N_("Ended a sign-in"),
    "session.end_others": N_("Ended all other sign-ins"),
    "password.change": N_("Changed the password"),
    "password.reset_link": N_("Made a link that resets a password"),
    "password.reset": N_("Set a new password with a link"),
    "token.create": N_("Made a token"),
    "token.revoke": N_("Revoked a token"),
    "user.first": N_("Made the first account"),
    "user.add": N_("Added a person"),
    "user.change": N_("Changed a person"),
    "user.role_annotator": N_("Made somebody an annotator"),
    "user.role_reviewer": N_("Made somebody a reviewer"),
    "user.role_engineer": N_("Made somebody an engineer"),
    "user.role_admin": N_("Made somebody an administrator"),
    "user.close": N_("Closed an account"),
    "user.reopen": N_("Reopened an account"),
    "dataset.create": N_("Made a dataset"),
    "dataset.describe": N_("Renamed or described a dataset"),
    "dataset.archive": N_("Archived a dataset"),
    "dataset.restore": N_("Restored a dataset"),
    "dataset.delete": N_("Deleted a dataset"),
    "dataset.import": N_("Imported a file"),
    "import_mapping.keep": N_("Kept an import mapping"),
    "import_mapping.remove": N_("Removed an import mapping"),
    "conversation.approved": N_("Approved a conversation"),
    "conversation.rejected": N_("Sent a conversation back"),
    "conversation.draft": N_("Reopened a conversation"),
    "conversation.handed_in": N_("Handed in a conversation"),
    "conversation.discarded": N_("Discarded a conversation"),
    "conversation.assign": N_("Gave conversations to people"),
    "conversation.comment": N_("Commented on a conversation"),
    "conversation.comment_delete": N_("Deleted a comment"),
    "conversation.undo": N_("Took back a decision on a conversation"),
    "conversation.delete": N_("Deleted a conversation"),
    "conversation.erase": N_("Erased a conversation everywhere"),
    "dataset.erase": N_("Erased all conversations of a dataset everywhere"),
    "version.freeze": N_("Froze a version"),
    "version.describe": N_("Renamed or described a version"),
    "version.redact": N_("Took an erased conversation out of a version"),
    "version.export": N_("Downloaded a version"),
    "base_model.add": N_("Added a base model"),
    "base_model.remove": N_("Removed a base model"),
    "recipe.save": N_("Saved a recipe"),
    "recipe.change": N_("Changed a recipe"),
    "recipe.delete": N_("Deleted a recipe"),
    "run.start": N_("Started a run"),
    "run.override": N_("Started a run in spite of a red mask check"),
    "run.cancel": N_("Cancelled a run"),
    "run.save": N_("Stopped and saved a run"),
    "run.pause": N_("Paused a run"),
    "run.remove_checkpoints": N_("Removed the checkpoints of a run"),
    "run.resume": N_("Let a paused run go on"),
    "run.download": N_("Downloaded a file of a run"),
    "run.export": N_("Exported a run"),
    "run.export_cancel": N_("Cancelled an export of a run"),
    "run.export_delete": N_("Deleted an export of a run"),
    "run.export_download": N_("Downloaded an export of a run"),
    "run.push": N_("Pushed an export of a run to a hub"),
    "run.push_cancel": N_("Cancelled the push of an export of a run"),
    "sweep.start": N_("Started a sweep"),
    "sweep.rename": N_("Renamed a sweep"),
    "sweep.stop": N_("Stopped a sweep"),
    "evaluation.start": N_("Started an evaluation"),
    "job.cancel": N_("Cancelled a job"),
    "job.save": N_("Stopped and saved a job"),
    "job.move_up": N_("Moved a job up in the queue"),
    "job.move_down": N_("Moved a job down in the queue"),
    "job.move_top": N_("Moved a job to the top of the queue"),
    "job.priority_high": N_("Gave a job high priority"),
    "job.priority_normal": N_("Gave a job normal priority"),
    "job.priority_low": N_("Gave a job low priority"),
    "webhook.add": N_("Added a webhook"),
    "webhook.remove": N_("Removed a webhook"),
    "webhook.test": N_("Sent a test to a webhook"),
    "webhook.again": N_("Sent a message to a webhook again"),
    "queue.pause": N_("Paused the queue"),
    "queue.resume": N_("Let the queue go on"),
}


def words_of(action: str) -> str:
    """An action for people, in the reader's language; one that has no words as it is stored."""
    return gettext(ACTIONS[action]) if action in ACTIONS else action


@dataclass(frozen=True)
class AuditFilter:
    """Empty fields take everything. `person` is a name, as it was or as it is; `action` is one whole, or the part before
    its dot; `subject` is one such as `run/7`, or the part before its slash.
    """

    person: str = ""
    action: str = ""
    subject: str = ""


def find_events(
    session: Session, wanted: AuditFilter, *, before: int | None = None, limit: int = PAGE
) -> list[AuditEvent]:
    """The newest first; with `before`, those of lower ids."""
    statement = select(AuditEvent)
    if wanted.person:
        name = wanted.person.strip()
        ids = select(User.id).where(User.name == name)
        statement = statement.where(
            or_(col(AuditEvent.actor) == name, col(AuditEvent.actor_user_id).in_(ids))
        )
    for column, value, mark in (
        (col(AuditEvent.action), wanted.action.strip(), "."),
        (col(AuditEvent.subject), wanted.subject.strip(), "/"),
    ):
        if value:
            # What was deleted has its name behind its number.
            longer = [column.startswith(value + sign, autoescape=True) for sign in (mark, " ")]
            statement = statement.where(or_(column == value, *longer))
    if before is not None:
        statement = statement.where(col(AuditEvent.id) < before)
    return list(session.exec(statement.order_by(col(AuditEvent.id).desc()).limit(limit)))


def known_actions(session: Session) -> list[str]:
    """Every action that happened, in the order of the alphabet."""
    return sorted(session.exec(select(AuditEvent.action).distinct()))
