"""Draws the pictures of the help page with the real tokenizer. `python -m tests.previews.drawing` stores them."""

import json
import sys
from pathlib import Path
from typing import Any

from app.core.i18n import LOCALES, Locale
from app.masking import ChatTokenizer, MaskedSample, mask_conversation, preview_sample, run_checks
from app.previews.pictures import DIALOGUES, TOKEN_FIELDS, file_of, plans
from tests.support.small_model import small_model_folder


def drawn(tokenizer: ChatTokenizer, locale: Locale) -> dict[str, list[dict[str, Any]]]:
    """Every picture as it is stored."""
    found = {}
    for name, plan in plans(locale).items():
        own = tokenizer.with_chat_template(plan.template, trusted=True) if plan.template else tokenizer
        masked = mask_conversation(own, {"messages": DIALOGUES[locale][plan.dialogue]}, plan.settings)
        found[name] = [_stored(own, sample) for sample in masked.samples]
    return found


def _stored(tokenizer: ChatTokenizer, sample: MaskedSample) -> dict[str, Any]:
    shown = preview_sample(tokenizer, sample, include_cut_tokens=True)
    checks = [
        {"name": check.name, "passed": check.passed, "sentence": check.sentence.to_json()}
        for check in run_checks(tokenizer, sample)
    ]
    return {
        "tokens": [
            [token[field] for field in TOKEN_FIELDS] for token in [*shown["tokens"], *shown["cut_tokens"]]
        ],
        "cut": len(shown["cut_tokens"]),
        # all green is said in a word
        "checks": [] if all(check["passed"] for check in checks) else checks,
    }


def write(tokenizer: ChatTokenizer, locale: Locale) -> None:
    """Store them, a token a line would be many lines: a sample a line."""
    lines = [
        f" {json.dumps(name)}: [\n"
        + ",\n".join(f"  {json.dumps(sample, ensure_ascii=False)}" for sample in samples)
        + "\n ]"
        for name, samples in drawn(tokenizer, locale).items()
    ]
    Path(file_of(locale)).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else small_model_folder()
    for language in LOCALES:
        write(ChatTokenizer.from_folder(folder, trusted=True), language)
