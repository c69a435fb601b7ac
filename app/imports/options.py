"""How a file comes in, as forms and REST take it: its format, what becomes of bad lines and of records that ask again."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Form

from app.imports.work import ImportOptions, SameQuestions
from app.interchange import Format


def _options(same: SameQuestions) -> Callable[..., ImportOptions]:
    """The fields of a door at which records that ask the same are dealt with so where nothing is said of them."""

    def options(
        format: Annotated[
            Format, Form(description="The format of the file; recognised unless it is given.")
        ] = "auto",
        skip_bad: Annotated[
            bool,
            Form(description="Import the good lines though others be bad; else one bad line keeps all out."),
        ] = False,
        same_questions: Annotated[
            SameQuestions,
            Form(
                description="What becomes of records that ask the same as a conversation of the dataset and answer otherwise: "
                "both are kept, the old one is replaced as a new revision, the new one is skipped; ask: nothing comes in "
                "while there are any."
            ),
        ] = same,
    ) -> ImportOptions:
        return ImportOptions(format=format, skip_bad=skip_bad, same_questions=same_questions)

    return options


Asking = Annotated[ImportOptions, Depends(_options("ask"))]
Keeping = Annotated[ImportOptions, Depends(_options("keep"))]
