"""Masks for people: a line a token, counts and checks, in the reader's language. Colour only on a terminal."""

from typing import Final

from rich.cells import set_cell_size
from rich.console import Console
from rich.text import Text

from app.core.formatting import number
from app.core.i18n import gettext as _
from app.core.i18n import say
from app.mask_checks.report import MaskReport
from app.masking import ChatTokenizer, MaskedSample, preview_sample, run_checks
from app.sentences import N_, Sentence

_ROLES: Final = {
    "template": N_("template"),
    "system": N_("system"),
    "user": N_("user"),
    "assistant": N_("assistant"),
    "tool": N_("tool"),
}
_COUNTS: Final = {
    "conversations": N_("conversations"),
    "samples": N_("samples"),
    "refused": N_("refused"),
    "dropped": N_("dropped"),
    "tokens": N_("tokens"),
    "trained": N_("trained"),
    "skipped": N_("skipped"),
    "longest": N_("longest"),
}
_LABEL_CELLS: Final = 14


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def print_sample(tokenizer: ChatTokenizer, sample: MaskedSample) -> None:
    """Every kept token with its label and role, then the counts and the checks."""
    console = _console()
    shown = preview_sample(tokenizer, sample)
    for token in shown["tokens"]:
        label = _("TRAIN") if token["trained"] else _("skip")
        line = Text(f"{token['index']:>6}  ")
        line.append(set_cell_size(label, 6), style="bold green" if token["trained"] else "dim")
        line.append(f" {set_cell_size(_(_ROLES[token['role']]), 9)}  ", style="dim")
        line.append(repr(token["text"]), style="cyan" if token["special"] else "")
        console.print(line, soft_wrap=True)
    total = shown["trained"] + shown["skipped"]
    counts = _(
        "trained %(trained)d  skipped %(skipped)d  ratio %(ratio)s  truncated %(truncated)d  strategy %(strategy)s"
    ) % {**shown, "ratio": f"{shown['trained'] / total if total else 0.0:.1%}"}
    console.print(Text(counts), soft_wrap=True)
    for check in run_checks(tokenizer, sample):
        line = _verdict(check.passed)
        line.append(f" {check.name}: {_said(check.sentence)}", style="default")
        console.print(line, soft_wrap=True)


def print_report(report: MaskReport) -> None:
    """The counts, the checks and the first failures."""
    console = _console()
    for name, label in _COUNTS.items():
        console.print(f"{set_cell_size(_(label), _LABEL_CELLS)}{number(getattr(report, name))}")
    cut, digest = _("truncated"), _("hash")
    truncated = _("%(tokens)d tokens in %(samples)d samples") % {
        "tokens": report.truncated_tokens,
        "samples": report.truncated_samples,
    }
    console.print(f"{set_cell_size(cut, _LABEL_CELLS)}{truncated}")
    for check in report.checks:
        # “passed refused” would read as its opposite
        name = "exact_mask" if check.name == "refused" else check.name
        console.print(_verdict(check.passed).append(f" {name}", style="default"))
    for failure in report.failures:
        sentence = _said(failure.sentence)
        where = {
            "line": failure.conversation_id,
            "token": failure.token,
            "check": failure.check,
            "detail": sentence,
        }
        if failure.token is None:
            text = _("line %(line)d: %(check)s: %(detail)s") % where
        else:
            text = _("line %(line)d, token %(token)d: %(check)s: %(detail)s") % where
        console.print(text, soft_wrap=True)
    console.print(f"{set_cell_size(digest, _LABEL_CELLS)}{report.hash}", soft_wrap=True)


def _verdict(passed: bool) -> Text:
    return Text(_("passed") if passed else _("FAILED"), style="green" if passed else "bold red")


def _said(sentence: Sentence) -> str:
    """Roles are the only words among the values of a check's sentence."""
    role = sentence.values.get("role")
    return say(sentence.with_values(role=_(_ROLES[role])) if role in _ROLES else sentence)
