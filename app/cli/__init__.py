"""The command line sft-studio: every failure is one clear line on standard error and a non-zero exit code.

`commands` names them all. With a server: `importing` · `exporting` (`exporting_runs`, `kept_exports`, `pushing`) · `pushes` · `recipes` ·
`base_models` · `training` · `sweeping` · `stopping` (pause, resume, stop) · `going_on` (checkpoints, continue, keep) · `advising` ·
`preflighting` · `evaluating` · `gating` · `queueing` · `notices` · `webhooks` · `diagnosing` · `watching` (watch, curves, log) ·
`erasing` · `listing` (list, status, approve) · `demo/`. Without: `masks/` · `people` (accounts, on the server's machine).
Processes: `serve` (and web) · `maintaining` (worker, migrate) · `keeping` (backup, restore, doctor). Shared:
`options`, `connection`, `exit_codes`, `text_files`, `progress` (what a person sees while a job runs), `verdict` (what an evaluation says),
`streams` (standard output that is always there), `usage` (what the parser refuses), `__main__`.
"""

import os
import sys
import traceback

import typer

from app.cli.streams import READER_GONE, ReaderGone, prepare_streams
from app.core.console import CommandFailed, fail_line, locale_from_environment
from app.core.errors import StudioError
from app.core.i18n import gettext as _
from app.core.i18n import set_locale
from app.masking import turn_off_library_threads

PROGRAM = "sft-studio"
DEBUG_VARIABLE = "SFT_STUDIO_DEBUG"
INTERRUPTED = 130


def main() -> None:
    """Entry point of `sft-studio` and `python -m app.cli`."""
    prepare_streams()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Do one command; returns its exit code."""
    turn_off_library_threads()
    set_locale(locale_from_environment(os.environ))
    try:
        # Help texts are translated when the commands are defined, so the locale must be known before.
        from app.cli.commands import build

        app = build(arguments)
        result = app(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except CommandFailed as failure:
        fail_line(str(failure))
        return failure.exit_code
    except StudioError as error:
        fail_line(error.translated())
        return 1
    except typer.TyperException as error:
        # Without a command the help was shown and there is nothing to add.
        if str(error).strip() or getattr(error, "format_message", str)().strip():
            fail_line(_usage_text(error))
        return int(getattr(error, "exit_code", 2))
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except ReaderGone:
        return READER_GONE
    except Exception as error:  # noqa: BLE001 - whatever it is, the person gets one line
        return _unexpected(error)
    return result if isinstance(result, int) else 0


def _usage_text(error: typer.TyperException) -> str:
    from app.cli.usage import usage_problem

    text = usage_problem(error)
    text += "" if text.endswith((".", "!", "?", "。", "？")) else "."
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    return _("%(problem)s See “%(command)s --help”.") % {"problem": text, "command": path}


def _unexpected(error: Exception) -> int:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    fail_line(
        _("This should not have happened: %(kind)s: %(reason)s. Set %(variable)s=1 to see where.")
        % {
            "kind": type(error).__name__,
            "reason": " ".join(str(error).split())[:300],
            "variable": DEBUG_VARIABLE,
        }
    )
    return 1
