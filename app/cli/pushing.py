"""Pushing files to a model hub from this machine, with the token of whoever calls: the server never sees it."""

import os
from typing import Final

from app.core.console import CommandFailed
from app.core.i18n import gettext as _
from app.exports.hub import Hub

# The hub's own client reads it too.
TOKEN: Final = "HF_TOKEN"  # noqa: S105 - the name, not the token


def own_hub(repository: str, *, private: bool) -> Hub:
    """The repository, with one's own token. Raises CommandFailed where there is none, and what Hub raises."""
    # A second to load, and most exports stay here.
    from huggingface_hub import get_token

    token = os.environ.get(TOKEN) or get_token()
    if not token:
        raise CommandFailed(
            _("Pushing needs your token for the hub: set %(variable)s, or sign in with “hf auth login”.")
            % {"variable": TOKEN}
        )
    return Hub(repository, token, private=private)
