"""Events and phases have one list of words, which worker, web, command line and browser keep to."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.i18n import gettext, use_locale
from app.jobs.events import PAYLOADS, PHASE_WORDS, STREAM_END, Ending, EventKind, Phase, status_words

ROOT = Path(__file__).parents[2]
SPOKEN_IN = ("app", "worker")
STREAMED_TO = ("run-live.js", "playground.js")
# Where these words mean something else: sides and places of training, states of jobs, kinds of checks.
KINDS = {kind.value for kind in EventKind} - {"state"}
# What a handler of the browser is given to listen for: on("metric", …), source.addEventListener("delta", …).
LISTENS = re.compile(r'(?:\bon|\bsource\.addEventListener)\(\s*"([\w:-]+)"')


def _calls(function: str) -> Iterator[tuple[str, ast.Call]]:
    for folder in SPOKEN_IN:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    if name == function:
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def _member(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def test_everything_that_is_emitted_is_a_member_with_the_fields_of_its_payload() -> None:
    wrong, seen = [], set()
    for where, call in _calls("emit"):
        kind = _member(call.args[0]) if call.args else None
        fields = {keyword.arg for keyword in call.keywords if keyword.arg}
        if kind in {f"Ending.{ending.name}" for ending in Ending}:
            continue
        known = {f"EventKind.{member.name}": member for member in EventKind}
        if kind not in known:
            wrong.append(f"{where} emits {ast.unparse(call.args[0]) if call.args else 'nothing'}")
            continue
        seen.add(known[kind])
        payload = PAYLOADS[known[kind]]
        if unknown := fields - set(payload.__annotations__):
            wrong.append(f"{where} {kind} has no field {', '.join(sorted(unknown))}")
        if missing := payload.__required_keys__ - fields:  # type: ignore[attr-defined]
            wrong.append(f"{where} {kind} lacks {', '.join(sorted(missing))}")
    assert wrong == []
    assert len(seen) >= 8


def test_no_module_compares_a_kind_with_a_word_of_its_own() -> None:
    wrong = []
    for folder in SPOKEN_IN:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Compare) or "kind" not in ast.unparse(node.left):
                    continue
                words = {
                    item.value
                    for item in ast.walk(node)
                    if isinstance(item, ast.Constant) and item.value in KINDS
                }
                if words:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}")
    assert wrong == []


@pytest.mark.parametrize("script", STREAMED_TO)
def test_the_browser_listens_for_kinds_that_exist(script: str) -> None:
    text = (ROOT / "static" / "js" / script).read_text(encoding="utf-8")
    heard = set(LISTENS.findall(text))
    assert heard
    # `job-events.js` itself says that there is no such job any more.
    assert heard <= {kind.value for kind in EventKind} | {STREAM_END, "open", "error", "gone"}


def test_every_kind_has_a_payload_and_every_phase_its_words_in_both_languages() -> None:
    assert set(PAYLOADS) == set(EventKind)
    assert set(PHASE_WORDS) == set(Phase)
    for phase in Phase:
        with use_locale("zh-CN"):
            assert re.search("[\u4e00-\u9fff]", gettext(status_words(phase)))
        assert status_words(phase) != status_words("unheard of")


def test_a_phase_of_an_earlier_version_still_reads() -> None:
    assert status_words("load_model") == status_words(Phase.LOADING_MODEL)
    assert status_words("cancelling") == "Cancelling"
    assert status_words("something newer") == "Running"
