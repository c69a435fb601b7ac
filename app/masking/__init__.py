"""Exact loss masks for any chat template:
conversations + template + tokenizer -> ids, labels, token roles, checks.

Pure: imports neither torch nor transformers, neither the database nor the web.
"""

from app.masking.arguments import Argument, TemplateArguments
from app.masking.checking.checks import CHECK_NAMES, Check, run_checks
from app.masking.checking.report import Failure, Histogram, VersionReport
from app.masking.checking.suspects import SUSPECT_KINDS
from app.masking.checking.verify import verify, verify_without_arrays
from app.masking.errors import (
    ArraysDiffer,
    MaskingError,
    MaskRefused,
    TemplateFailed,
    TemplateUnsafe,
    TokenizerUnusable,
)
from app.masking.preview import preview, preview_sample
from app.masking.samples.arrays import (
    ArraysBuilder,
    MaskArrays,
    arrays_hash,
    file_hash,
    read_arrays,
    write_arrays,
)
from app.masking.samples.sample import Cut, MaskedConversation, MaskedSample, Part
from app.masking.samples.stream import mask_conversation, mask_conversations
from app.masking.settings import IGNORE_INDEX, Handling, MaskSettings, TrainOn
from app.masking.tokenization.tokenizer import ChatTokenizer

__all__ = [
    "CHECK_NAMES",
    "IGNORE_INDEX",
    "SUSPECT_KINDS",
    "Argument",
    "ArraysBuilder",
    "ArraysDiffer",
    "ChatTokenizer",
    "Check",
    "Cut",
    "Failure",
    "Handling",
    "Histogram",
    "MaskArrays",
    "MaskRefused",
    "MaskSettings",
    "MaskedConversation",
    "MaskedSample",
    "MaskingError",
    "Part",
    "TemplateArguments",
    "TemplateFailed",
    "TemplateUnsafe",
    "TokenizerUnusable",
    "TrainOn",
    "VersionReport",
    "arrays_hash",
    "file_hash",
    "mask_conversation",
    "mask_conversations",
    "preview",
    "preview_sample",
    "read_arrays",
    "run_checks",
    "verify",
    "verify_without_arrays",
    "write_arrays",
]
