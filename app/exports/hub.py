"""A repository of a model hub, and files onto it: for workers, and for the command line on the machine of whoever calls.

Loads no database. Whoever makes a Hub brings the token, which no sentence and no file holds.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from app.core.errors import Invalid, StudioError
from app.sentences import N_, FailureCode

# The hub's own client reads it too.
ENDPOINT: Final = "HF_ENDPOINT"
_USUAL: Final = "https://huggingface.co"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_WRONG_NAME: Final = N_("%(field)s: “%(name)s” is not a hub id: write owner/name.")


class HubFailed(StudioError):
    """The hub is away, or does not take what it is given."""

    status = HTTPStatus.BAD_GATEWAY


@dataclass(frozen=True)
class Pushed:
    """Where the files can be looked at, and the commit that they are of."""

    url: str
    commit: str


def endpoint() -> str:
    """The hub's address, without a slash at its end."""
    return (os.environ.get(ENDPOINT) or _USUAL).rstrip("/")


def read_repository(name: str) -> str:
    """As typed, without blanks around it. Raises Invalid for what no hub takes as the name of a repository."""
    found = name.strip()
    if not _NAME.fullmatch(found) or ".." in found or "--" in found or found.endswith((".", "-", ".git")):
        raise Invalid(_WRONG_NAME, field="repository", name=name[:200])
    return found


class Hub:
    """A repository, made at once: who may not write there learns it before the work. Raises Invalid and HubFailed."""

    def __init__(self, repository: str, token: str, *, private: bool) -> None:
        # A second to load, and most exports stay here.
        from huggingface_hub import HfApi

        self.repository = read_repository(repository)
        self.endpoint = endpoint()
        self._api = HfApi(endpoint=self.endpoint, token=token)
        with self._telling():
            self._api.create_repo(self.repository, private=private, exist_ok=True)
            is_private = bool(self._api.model_info(self.repository).private)
        if private and not is_private:
            raise HubFailed(
                N_(
                    "%(repository)s is on the hub already and everybody sees it: push to it as a public one, or name another."
                ),
                code=FailureCode.HUB_REFUSED,
                repository=self.repository,
            )

    @property
    def url(self) -> str:
        """Where it can be looked at."""
        return f"{self.endpoint}/{self.repository}"

    def push(
        self, folder: Path, names: Sequence[str], message: str, told: Callable[[int], object] = bool
    ) -> Pushed:
        """These files of the folder, in one commit; others that are there stay. `told` hears of the bytes that are there so far, and what
        it raises ends the push before anything can be seen of it."""
        from huggingface_hub import CommitOperationAdd

        files = [CommitOperationAdd(name, folder / name) for name in names]
        done = 0
        with self._telling():
            for file in files:
                told(done)
                self._api.preupload_lfs_files(self.repository, [file])
                done += (folder / file.path_in_repo).stat().st_size
            told(done)
            commit = self._api.create_commit(self.repository, files, commit_message=message)
        return Pushed(self.url, commit.oid)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turns what goes wrong on the way into sentences, in which there is no token."""
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        unreachable: Any = next(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
        try:
            yield
        except HFValidationError:
            raise Invalid(_WRONG_NAME, field="repository", name=self.repository) from None
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
                raise HubFailed(
                    N_(
                        "The hub at %(url)s does not let this token write to %(repository)s (status %(status)d): check the name, and "
                        "that the token may write."
                    ),
                    code=FailureCode.HUB_REFUSED,
                    url=self.endpoint,
                    repository=self.repository,
                    status=status,
                ) from error
            raise HubFailed(
                N_("The hub at %(url)s refused %(repository)s with status %(status)d. Try again later."),
                code=FailureCode.HUB_REFUSED,
                url=self.endpoint,
                repository=self.repository,
                status=status,
            ) from error
        except (unreachable, OSError) as error:
            raise HubFailed(
                N_("The hub at %(url)s cannot be reached: check the network and %(variable)s."),
                code=FailureCode.HUB_UNREACHABLE,
                url=self.endpoint,
                variable=ENDPOINT,
            ) from error
