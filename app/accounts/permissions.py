"""The one table of who may do what: a permission is a verb on an object, with the lowest role that has it.

Routes declare one (`access.needs`), templates ask `may(…)`, services ask `Actor.may` or
`Actor.require`; nothing else compares roles.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.accounts.models import Role, Scope
from app.core.errors import Refused
from app.sentences import N_


class Permission(StrEnum):
    """`object.verb`; the same word in routes, templates and refusals."""

    ACCOUNT_USE = "account.use"
    ACCOUNT_MANAGE = "account.manage"
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
    CONVERSATION_COMMENT = "conversation.comment"
    CONVERSATION_ASSIGN = "conversation.assign"
    CONVERSATION_DELETE = "conversation.delete"
    VERSION_READ = "version.read"
    VERSION_FREEZE = "version.freeze"
    VERSION_EXPORT = "version.export"
    BASE_MODEL_READ = "base_model.read"
    BASE_MODEL_ADD = "base_model.add"
    BASE_MODEL_REMOVE = "base_model.remove"
    MASK_PREVIEW = "mask.preview"
    MASK_CHECK_READ = "mask_check.read"
    MASK_CHECK_START = "mask_check.start"
    RECIPE_READ = "recipe.read"
    RECIPE_SAVE = "recipe.save"
    RECIPE_MANAGE = "recipe.manage"
    RUN_READ = "run.read"
    RUN_READ_LOG = "run.read_log"
    RUN_START = "run.start"
    RUN_STOP = "run.stop"
    RUN_DOWNLOAD = "run.download"
    RUN_PUSH = "run.push"
    EVALUATION_READ = "evaluation.read"
    EVALUATION_START = "evaluation.start"
    PLAYGROUND_USE = "playground.use"
    PLAYGROUND_READ_OTHERS = "playground.read_others"
    JOB_READ = "job.read"
    JOB_STOP_OWN = "job.stop_own"
    JOB_STOP = "job.stop"
    QUEUE_READ = "queue.read"
    QUEUE_ORDER = "queue.order"
    QUEUE_PAUSE = "queue.pause"
    WEBHOOK_MANAGE = "webhook.manage"
    PEOPLE_READ = "people.read"
    PEOPLE_MANAGE = "people.manage"
    AUDIT_READ = "audit.read"


@dataclass(frozen=True)
class Rule:
    """The lowest role that has a permission, what it allows, for people, and the scope of the tokens that have it.

    None: no token has it, whatever its scope. What would let the finder of a token stay, or become more than it, takes
    a password or the server's own machine.
    """

    lowest: Role
    means: str
    scope: Scope | None = Scope.ALL


RULES: Final[dict[Permission, Rule]] = {
    Permission.ACCOUNT_USE: Rule(
        Role.ANNOTATOR, N_("Sign in and out, see one's own tokens and sign-ins."), Scope.READ
    ),
    Permission.ACCOUNT_MANAGE: Rule(
        Role.ANNOTATOR, N_("Change one's password, end one's sign-ins, make tokens."), None
    ),
    Permission.DATASET_READ: Rule(Role.ANNOTATOR, N_("See datasets and their imports."), Scope.READ),
    Permission.DATASET_CREATE: Rule(Role.ANNOTATOR, N_("Make datasets."), Scope.CURATE),
    Permission.DATASET_IMPORT: Rule(Role.ANNOTATOR, N_("Import files into datasets."), Scope.CURATE),
    Permission.CONVERSATION_READ: Rule(
        Role.ANNOTATOR, N_("Read conversations and their history."), Scope.READ
    ),
    Permission.CONVERSATION_EDIT: Rule(
        Role.ANNOTATOR,
        N_("Write, edit, flag and label conversations, and restore older texts."),
        Scope.CURATE,
    ),
    Permission.CONVERSATION_HAND_IN: Rule(
        Role.ANNOTATOR, N_("Hand in or discard conversations, also what was sent back."), Scope.CURATE
    ),
    Permission.CONVERSATION_COMMENT: Rule(
        Role.ANNOTATOR, N_("Comment on conversations and their turns."), Scope.CURATE
    ),
    Permission.VERSION_READ: Rule(Role.ANNOTATOR, N_("See versions."), Scope.READ),
    Permission.BASE_MODEL_READ: Rule(Role.ANNOTATOR, N_("See base models."), Scope.READ),
    Permission.MASK_PREVIEW: Rule(Role.ANNOTATOR, N_("Preview the mask of a conversation."), Scope.READ),
    Permission.MASK_CHECK_READ: Rule(Role.ANNOTATOR, N_("Read mask checks."), Scope.READ),
    Permission.RECIPE_READ: Rule(Role.ANNOTATOR, N_("See built-in and shared recipes."), Scope.READ),
    Permission.RUN_READ: Rule(Role.ANNOTATOR, N_("Follow runs: state, curves, what happened."), Scope.READ),
    Permission.EVALUATION_READ: Rule(Role.ANNOTATOR, N_("Read evaluations."), Scope.READ),
    Permission.PLAYGROUND_USE: Rule(Role.ANNOTATOR, N_("Chat with a finished run."), Scope.TRAIN),
    Permission.JOB_READ: Rule(Role.ANNOTATOR, N_("Follow jobs."), Scope.READ),
    Permission.JOB_STOP_OWN: Rule(Role.ANNOTATOR, N_("Stop a job that one started."), Scope.TRAIN),
    Permission.DATASET_DESCRIBE: Rule(Role.REVIEWER, N_("Rename and describe datasets."), Scope.CURATE),
    Permission.CONVERSATION_REVIEW: Rule(
        Role.REVIEWER, N_("Approve conversations, send them back, reopen them."), Scope.CURATE
    ),
    Permission.CONVERSATION_ASSIGN: Rule(Role.REVIEWER, N_("Give conversations to people."), Scope.CURATE),
    Permission.CONVERSATION_DELETE: Rule(Role.REVIEWER, N_("Delete conversations.")),
    Permission.DATASET_ARCHIVE: Rule(Role.ENGINEER, N_("Archive and restore datasets.")),
    Permission.DATASET_DELETE: Rule(Role.ENGINEER, N_("Delete datasets.")),
    Permission.VERSION_FREEZE: Rule(Role.ENGINEER, N_("Freeze versions."), Scope.TRAIN),
    Permission.VERSION_EXPORT: Rule(Role.ENGINEER, N_("Download versions as files."), Scope.TRAIN),
    Permission.BASE_MODEL_ADD: Rule(Role.ENGINEER, N_("Add and prepare base models."), Scope.TRAIN),
    Permission.BASE_MODEL_REMOVE: Rule(Role.ENGINEER, N_("Remove base models that nothing was made with.")),
    Permission.MASK_CHECK_START: Rule(Role.ENGINEER, N_("Start mask checks."), Scope.TRAIN),
    Permission.RECIPE_SAVE: Rule(
        Role.ENGINEER, N_("Save recipes, change shared ones, delete one's own."), Scope.TRAIN
    ),
    Permission.RUN_START: Rule(Role.ENGINEER, N_("Start runs."), Scope.TRAIN),
    Permission.RUN_STOP: Rule(Role.ENGINEER, N_("Pause, resume and stop runs."), Scope.TRAIN),
    Permission.RUN_READ_LOG: Rule(Role.ENGINEER, N_("Read what a run's process printed."), Scope.READ),
    Permission.RUN_DOWNLOAD: Rule(
        Role.ENGINEER, N_("Download adapters and the other files of a run."), Scope.TRAIN
    ),
    Permission.RUN_PUSH: Rule(
        Role.ENGINEER, N_("Push a run's files to a model hub, with the server's token.")
    ),
    Permission.EVALUATION_START: Rule(Role.ENGINEER, N_("Start evaluations."), Scope.TRAIN),
    Permission.JOB_STOP: Rule(Role.ENGINEER, N_("Stop anybody's jobs."), Scope.TRAIN),
    Permission.QUEUE_READ: Rule(Role.ANNOTATOR, N_("See the queue and the workers."), Scope.READ),
    Permission.QUEUE_ORDER: Rule(
        Role.ENGINEER, N_("Move waiting jobs, their own and others', and set their priority."), Scope.TRAIN
    ),
    Permission.QUEUE_PAUSE: Rule(Role.ADMIN, N_("Pause the queue and let it go on.")),
    Permission.WEBHOOK_MANAGE: Rule(Role.ADMIN, N_("Have other programs told by webhooks.")),
    Permission.RECIPE_MANAGE: Rule(
        Role.ADMIN, N_("See and change anybody's own recipes, and delete shared ones."), Scope.TRAIN
    ),
    Permission.PLAYGROUND_READ_OTHERS: Rule(Role.ADMIN, N_("Read chats of others.")),
    Permission.PEOPLE_READ: Rule(Role.ADMIN, N_("See the people.")),
    Permission.PEOPLE_MANAGE: Rule(
        Role.ADMIN,
        N_("Add people, change their roles, reset passwords, close and reopen accounts."),
        None,
    ),
    Permission.AUDIT_READ: Rule(Role.ADMIN, N_("Read who did what.")),
}


ROLE_WORDS: Final = {
    Role.ANNOTATOR: N_("Annotator"),
    Role.REVIEWER: N_("Reviewer"),
    Role.ENGINEER: N_("Engineer"),
    Role.ADMIN: N_("Administrator"),
}
_NEEDED: Final = {
    Role.REVIEWER: N_("This needs the role reviewer (%(permission)s). Ask an admin."),
    Role.ENGINEER: N_("This needs the role engineer (%(permission)s). Ask an admin."),
    Role.ADMIN: N_("This needs the role administrator (%(permission)s). Ask an admin."),
}


# The role of a token is its owner's when it was made, and never a higher one.
_NEEDED_OF_TOKEN: Final = {
    Role.REVIEWER: N_(
        "This needs the role reviewer (%(permission)s). A token keeps the role that its owner had: if you have that one by now, make a new "
        "token on the Account page, else ask an admin."
    ),
    Role.ENGINEER: N_(
        "This needs the role engineer (%(permission)s). A token keeps the role that its owner had: if you have that one by now, make a new "
        "token on the Account page, else ask an admin."
    ),
    Role.ADMIN: N_(
        "This needs the role administrator (%(permission)s). A token keeps the role that its owner had: if you have that one by now, make "
        "a new token on the Account page, else ask an admin."
    ),
}
_NOT_THIS_TOKEN: Final = N_(
    "This token was made for less (%(permission)s). Make one that may on the Account page."
)
_NO_TOKEN: Final = N_(
    "No token may do this (%(permission)s). Sign in with a browser, or use sft-studio people on the server's own machine."
)


def allows(role: Role, permission: Permission) -> bool:
    """Whether a role has a permission."""
    return role.includes(RULES[permission].lowest)


def covers(scope: Scope, permission: Permission) -> bool:
    """Whether tokens of this scope have a permission that their role has."""
    needed = RULES[permission].scope
    return needed is not None and scope.includes(needed)


def offered_scopes(role: Role) -> list[Scope]:
    """Those that somebody of this role may make tokens for."""
    return [scope for scope in Scope if scope is not Scope.TRAIN or allows(role, Permission.RUN_START)]


def scope_refusal(permission: Permission) -> Refused:
    """What a token is told that lacks what its role has."""
    no_token = RULES[permission].scope is None
    return Refused(_NO_TOKEN if no_token else _NOT_THIS_TOKEN, permission=permission.value)


def refusal(permission: Permission, *, of_token: bool) -> Refused:
    """What whoever lacks the permission is told: the role that has it."""
    needed = _NEEDED_OF_TOKEN if of_token else _NEEDED
    return Refused(needed[RULES[permission].lowest], permission=permission.value)


def permissions_by_role() -> list[tuple[Role, list[Rule]]]:
    """What each role may do beyond the ones before it."""
    return [(role, [rule for rule in RULES.values() if rule.lowest is role]) for role in Role]
