"""Which server a command speaks to."""

from typing import Annotated

import typer

from app.client.rest import StudioClient
from app.core.console import load_settings
from app.core.i18n import gettext as _

UrlOption = Annotated[
    str,
    typer.Option(
        "--url", envvar="SFT_STUDIO_URL", help=_("Address of the server; without it the one on this machine.")
    ),
]


def connect(url: str) -> StudioClient:
    """A client for the named server, else the local one."""
    return StudioClient.from_settings(load_settings(), url)
