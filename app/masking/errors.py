"""What masking raises: an English sentence with named places,
which the edge may translate before it fills them.
"""

from collections.abc import Callable

N_: Callable[[str], str] = str  # marks a literal for the message catalogue


class MaskingError(Exception):
    """Base of the package: `message` is the untranslated sentence, `params` fills its named places."""

    def __init__(self, message: str, **params: object) -> None:
        super().__init__(message % params if params else message)
        self.message = message
        self.params = params


class MaskRefused(MaskingError):
    """An exact mask of this conversation under this template does not exist or cannot be proven."""


class TemplateFailed(MaskRefused):
    """The template does not compile, or stopped with an error of its own while rendering."""


class TemplateUnsafe(MaskingError):
    """A template that was tried in the capped child and used too much time or memory, or broke the sandbox."""


class TokenizerUnusable(MaskingError):
    """A model folder whose tokenizer or chat template cannot be read."""


class ArraysDiffer(MaskingError):
    """An arrays file that is not what its own hash says, or not an arrays file."""
