"""Pushing files to a model hub from this machine, with the token of whoever calls: the server never sees it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.core.console import CommandFailed
from app.core.i18n import gettext as _

if TYPE_CHECKING:
    pass

# The hub's own client reads these two.
TOKEN: Final = "HF_TOKEN"  # noqa: S105 - the name, not the token
ENDPOINT: Final = "HF_ENDPOINT"


class Hub:
    """A repository on a hub, made at once: who may not write there learns it before the work."""

    def __init__(self, repository: str, *, private: bool) -> None:
        # A second to load, and most exports stay here.
        from huggingface_hub import HfApi, constants, get_token

        token = os.environ.get(TOKEN) or get_token()
        if not token:
            raise CommandFailed(
                _("Pushing needs your token for the hub: set %(variable)s, or sign in with “hf auth login”.")
                % {"variable": TOKEN}
            )
        self.repository = repository
        self.endpoint = (os.environ.get(ENDPOINT) or constants.ENDPOINT).rstrip("/")
        self._api: HfApi = HfApi(endpoint=self.endpoint, token=token)
        with self._telling():
            self._api.create_repo(repository, private=private or None, exist_ok=True)

    @property
    def url(self) -> str:
        """Where it can be looked at."""
        return f"{self.endpoint}/{self.repository}"

    def push(self, folder: Path, names: Sequence[str], message: str) -> None:
        """These files of the folder, in one commit; others that are there stay."""
        with self._telling():
            self._api.upload_folder(
                repo_id=self.repository,
                folder_path=folder,
                allow_patterns=list(names),
                commit_message=message,
            )

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turns what goes wrong on the way into sentences, in which there is no token."""
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        unreachable: Any = next(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
        try:
            yield
        except HFValidationError as error:
            raise CommandFailed(
                _("%(reference)s is not a hub id: write owner/name.") % {"reference": self.repository}
            ) from error
        except HfHubHTTPError as error:
            status = error.response.status_code
            told = {"url": self.endpoint, "repository": self.repository, "status": status}
            if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
                text = _(
                    "The hub at %(url)s does not let this token write to %(repository)s (status %(status)d): check the name, and "
                    "that the token may write."
                )
            else:
                text = _("The hub at %(url)s refused %(repository)s with status %(status)d. Try again later.")
            raise CommandFailed(text % told) from error
        except (unreachable, OSError) as error:
            raise CommandFailed(
                _("The hub at %(url)s cannot be reached: check the network and %(variable)s.")
                % {"url": self.endpoint, "variable": ENDPOINT}
            ) from error
