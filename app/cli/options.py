"""Options that several commands share."""

from typing import Annotated

import typer

from app.core.i18n import gettext as _
from app.interchange.files.encodings import Encoding

JsonOption = Annotated[bool, typer.Option("--json", help=_("Print the result as JSON on standard output."))]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help=_("Wait for the end and show progress."))]
DatasetOption = Annotated[str, typer.Option("--dataset", help=_("Name of the dataset."))]
EncodingOption = Annotated[
    Encoding,
    typer.Option("--encoding", help=_("Encoding of the file; it is recognised, and told, unless given.")),
]
