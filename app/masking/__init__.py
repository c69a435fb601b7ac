"""Exact loss masks for any chat template:
conversations + template + tokenizer -> ids, labels, token roles, checks.

Pure: imports neither torch nor transformers, neither the database nor the web. Other packages import from here and
not from the modules below; README.md beside this file shows the way of a mask through them.

`settings` which tokens are trained · `arguments` what a template is given besides · `errors` · `threads` whose threads encode ·
`previewing` a sample for pages and scripts · `token_runs` by which repeated words are told;
the rest in packages, from `templates` to `checking`.

A name is imported when it is first used: the child process that renders templates is inside this package and needs
next to nothing of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.masking.arguments import Argument, TemplateArguments
    from app.masking.checking.check import CHECK_NAMES, Check
    from app.masking.checking.checks import run_checks
    from app.masking.checking.leaks import Leak, find_crossings, find_leaks
    from app.masking.checking.report import Failure, Histogram, VersionReport
    from app.masking.checking.suspects import SuspectKind
    from app.masking.checking.verify import verify, verify_without_arrays
    from app.masking.errors import (
        ArraysDiffer,
        MaskingError,
        MaskRefused,
        TemplateFailed,
        TemplateUnsafe,
        TokenizerUnusable,
    )
    from app.masking.previewing import preview, preview_sample
    from app.masking.samples.arrays import (
        ArraysBuilder,
        MaskArrays,
        Split,
        arrays_hash,
        read_arrays,
        write_arrays,
    )
    from app.masking.samples.mixing import Amount, Mixture, drawn_count, mix, unmixed
    from app.masking.samples.sample import Cut, MaskedConversation, MaskedSample, Missing, Part
    from app.masking.samples.stream import mask_conversation, mask_conversations
    from app.masking.settings import IGNORE_INDEX, ControlTokenPolicy, Handling, MaskSettings, TrainOn
    from app.masking.threads import turn_off_library_threads
    from app.masking.token_runs import RUN_CHUNK, TOKEN_RUN, run_hashes
    from app.masking.tokenization.model_folder import read_model_folder
    from app.masking.tokenization.tokenizer import ChatTokenizer
    from app.masking.turns.locate import locate

__all__ = [
    "CHECK_NAMES",
    "IGNORE_INDEX",
    "RUN_CHUNK",
    "TOKEN_RUN",
    "Amount",
    "Argument",
    "ArraysBuilder",
    "ArraysDiffer",
    "ChatTokenizer",
    "Check",
    "ControlTokenPolicy",
    "Cut",
    "Failure",
    "Handling",
    "Histogram",
    "Leak",
    "MaskArrays",
    "MaskRefused",
    "MaskSettings",
    "MaskedConversation",
    "MaskedSample",
    "MaskingError",
    "Missing",
    "Mixture",
    "Part",
    "Split",
    "SuspectKind",
    "TemplateArguments",
    "TemplateFailed",
    "TemplateUnsafe",
    "TokenizerUnusable",
    "TrainOn",
    "VersionReport",
    "arrays_hash",
    "drawn_count",
    "find_crossings",
    "find_leaks",
    "locate",
    "mask_conversation",
    "mask_conversations",
    "mix",
    "preview",
    "preview_sample",
    "read_arrays",
    "read_model_folder",
    "run_checks",
    "run_hashes",
    "turn_off_library_threads",
    "unmixed",
    "verify",
    "verify_without_arrays",
    "write_arrays",
]

# The modules they are defined in.
_DEFINED_IN = {
    "arguments": "Argument TemplateArguments",
    "checking.check": "CHECK_NAMES Check",
    "checking.checks": "run_checks",
    "checking.leaks": "Leak find_crossings find_leaks",
    "checking.report": "Failure Histogram VersionReport",
    "checking.suspects": "SuspectKind",
    "checking.verify": "verify verify_without_arrays",
    "errors": "ArraysDiffer MaskingError MaskRefused TemplateFailed TemplateUnsafe TokenizerUnusable",
    "previewing": "preview preview_sample",
    "samples.arrays": "ArraysBuilder MaskArrays arrays_hash Split read_arrays write_arrays",
    "samples.mixing": "Amount Mixture drawn_count mix unmixed",
    "samples.sample": "Cut MaskedConversation MaskedSample Missing Part",
    "samples.stream": "mask_conversation mask_conversations",
    "settings": "IGNORE_INDEX ControlTokenPolicy Handling MaskSettings TrainOn",
    "token_runs": "RUN_CHUNK TOKEN_RUN run_hashes",
    "threads": "turn_off_library_threads",
    "tokenization.model_folder": "read_model_folder",
    "tokenization.tokenizer": "ChatTokenizer",
    "turns.locate": "locate",
}
_MODULE_OF = {name: f"{__name__}.{module}" for module, names in _DEFINED_IN.items() for name in names.split()}

# Types are read from the imports above, where a name that does not exist is an error.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(module), name)
        globals()[name] = value
        return value
