"""What masking raises: a sentence that the edge translates, and a code for each kind."""

from typing import ClassVar

from app.sentences import FailureCode, Sentence, SentenceError, sentence_of


class MaskingError(SentenceError):
    """Base of the package: an English template with its values, or a sentence that is ready."""

    default_code: ClassVar[str] = FailureCode.MASK_SETTING

    def __init__(self, message: str | Sentence, **values: object) -> None:
        super().__init__(sentence_of(message, values))


class MaskRefused(MaskingError):
    """An exact mask of this conversation under this template does not exist or cannot be proven."""

    default_code = FailureCode.MASK_REFUSED


class TemplateFailed(MaskRefused):
    """The template does not compile, or stopped with an error of its own while rendering."""

    default_code = FailureCode.TEMPLATE_FAILED


class TemplateUnsafe(MaskingError):
    """A template that was tried in the capped child and used too much time or memory, or broke the sandbox."""

    default_code = FailureCode.TEMPLATE_REFUSED


class TokenizerUnusable(MaskingError):
    """A model folder whose tokenizer or chat template cannot be read."""

    default_code = FailureCode.TOKENIZER_UNREADABLE


class ArraysDiffer(MaskingError):
    """An arrays file that is not what its own hash says, or not an arrays file."""

    default_code = FailureCode.ARRAYS_DIFFER
