"""The one table of who may do what: a permission is a verb on an object, with the lowest role that has it.

Routes declare one (`access.needs`), templates ask `may(…)`, services ask `Actor.may` or
`Actor.require`; nothing else compares roles.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.accounts.models import Role
from app.core.errors import Refused
from app.sentences import N_


class Permission(StrEnum):
    """`object.verb`; the same word in routes, templates and refusals."""

    ACCOUNT_USE = "account.use"
    DATASET_READ = "dataset.read"
    DATASET_CREATE = "dataset.create"
    DATASET_IMPORT = "dataset.import"
    DATASET_DESCRIBE = "dataset.describe"
    DATASET_ARCHIVE = "dataset.archive"
    DATASET_DELETE = "dataset.delete"
    CONVERSATION_READ = "conversation.read"
    CONVERSATION_EDIT = "conversation.edit"
    CONVERSATION_HAND_IN = "conversation.hand_in"
    CONVERSATION_REVIEW = "conversation.review"
    CONVERSATION_DELETE = "conversation.delete"
    VERSION_READ = "version.read"
    VERSION_FREEZE = "version.freeze"
    VERSION_EXPORT = "version.export"
    BASE_MODEL_READ = "base_model.read"
    BASE_MODEL_ADD = "base_model.add"
    MASK_PREVIEW = "mask.preview"
    MASK_CHECK_READ = "mask_check.read"
    MASK_CHECK_START = "mask_check.start"
    RUN_READ = "run.read"
    RUN_READ_LOG = "run.read_log"
    RUN_START = "run.start"
    RUN_STOP = "run.stop"
    RUN_DOWNLOAD = "run.download"
    EVALUATION_READ = "evaluation.read"
    EVALUATION_START = "evaluation.start"
    PLAYGROUND_USE = "playground.use"
    PLAYGROUND_READ_OTHERS = "playground.read_others"
    JOB_READ = "job.read"
    JOB_STOP_OWN = "job.stop_own"
    JOB_STOP = "job.stop"
    PEOPLE_MANAGE = "people.manage"


@dataclass(frozen=True)
class Rule:
    """The lowest role that has a permission, and what it allows, for people."""

    lowest: Role
    means: str


RULES: Final[dict[Permission, Rule]] = {
    Permission.ACCOUNT_USE: Rule(Role.ANNOTATOR, N_("Sign in and out, make and revoke one's own tokens.")),
    Permission.DATASET_READ: Rule(Role.ANNOTATOR, N_("See datasets and their imports.")),
    Permission.DATASET_CREATE: Rule(Role.ANNOTATOR, N_("Make datasets.")),
    Permission.DATASET_IMPORT: Rule(Role.ANNOTATOR, N_("Import files into datasets.")),
    Permission.CONVERSATION_READ: Rule(Role.ANNOTATOR, N_("Read conversations and their history.")),
    Permission.CONVERSATION_EDIT: Rule(
        Role.ANNOTATOR, N_("Write, edit, flag and label conversations, and restore older texts.")
    ),
    Permission.CONVERSATION_HAND_IN: Rule(
        Role.ANNOTATOR, N_("Hand in again a conversation that was sent back.")
    ),
    Permission.VERSION_READ: Rule(Role.ANNOTATOR, N_("See versions.")),
    Permission.BASE_MODEL_READ: Rule(Role.ANNOTATOR, N_("See base models.")),
    Permission.MASK_PREVIEW: Rule(Role.ANNOTATOR, N_("Preview the mask of a conversation.")),
    Permission.MASK_CHECK_READ: Rule(Role.ANNOTATOR, N_("Read mask checks.")),
    Permission.RUN_READ: Rule(Role.ANNOTATOR, N_("Follow runs: state, curves, what happened.")),
    Permission.EVALUATION_READ: Rule(Role.ANNOTATOR, N_("Read evaluations.")),
    Permission.PLAYGROUND_USE: Rule(Role.ANNOTATOR, N_("Chat with a finished run.")),
    Permission.JOB_READ: Rule(Role.ANNOTATOR, N_("Follow jobs.")),
    Permission.JOB_STOP_OWN: Rule(Role.ANNOTATOR, N_("Stop a job that one started.")),
    Permission.DATASET_DESCRIBE: Rule(Role.REVIEWER, N_("Rename and describe datasets.")),
    Permission.CONVERSATION_REVIEW: Rule(
        Role.REVIEWER, N_("Approve conversations, send them back, reopen them.")
    ),
    Permission.CONVERSATION_DELETE: Rule(Role.REVIEWER, N_("Delete conversations.")),
    Permission.DATASET_ARCHIVE: Rule(Role.ENGINEER, N_("Archive and restore datasets.")),
    Permission.DATASET_DELETE: Rule(Role.ENGINEER, N_("Delete datasets.")),
    Permission.VERSION_FREEZE: Rule(Role.ENGINEER, N_("Freeze versions.")),
    Permission.VERSION_EXPORT: Rule(Role.ENGINEER, N_("Download versions as files.")),
    Permission.BASE_MODEL_ADD: Rule(Role.ENGINEER, N_("Add and prepare base models.")),
    Permission.MASK_CHECK_START: Rule(Role.ENGINEER, N_("Start mask checks.")),
    Permission.RUN_START: Rule(Role.ENGINEER, N_("Start runs.")),
    Permission.RUN_STOP: Rule(Role.ENGINEER, N_("Stop runs.")),
    Permission.RUN_READ_LOG: Rule(Role.ENGINEER, N_("Read what a run's process printed.")),
    Permission.RUN_DOWNLOAD: Rule(Role.ENGINEER, N_("Download adapters and the other files of a run.")),
    Permission.EVALUATION_START: Rule(Role.ENGINEER, N_("Start evaluations.")),
    Permission.JOB_STOP: Rule(Role.ENGINEER, N_("Stop anybody's jobs.")),
    Permission.PLAYGROUND_READ_OTHERS: Rule(Role.ADMIN, N_("Read chats of others.")),
    Permission.PEOPLE_MANAGE: Rule(
        Role.ADMIN, N_("Add people, change their roles, close and reopen accounts.")
    ),
}


_NEEDED: Final = {
    Role.REVIEWER: N_("This needs the role reviewer (%(permission)s). Ask an admin."),
    Role.ENGINEER: N_("This needs the role engineer (%(permission)s). Ask an admin."),
    Role.ADMIN: N_("This needs the role administrator (%(permission)s). Ask an admin."),
}


def allows(role: Role, permission: Permission) -> bool:
    """Whether a role has a permission."""
    return role.includes(RULES[permission].lowest)


def refusal(permission: Permission) -> Refused:
    """What whoever lacks the permission is told: the role that has it."""
    return Refused(_NEEDED[RULES[permission].lowest], permission=permission.value)


def permissions_by_role() -> list[tuple[Role, list[Rule]]]:
    """What each role may do beyond the ones before it."""
    return [(role, [rule for rule in RULES.values() if rule.lowest is role]) for role in Role]
