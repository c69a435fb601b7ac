"""Every sentence that checks, scores, suites and the evaluation worker can say has its Chinese."""

import ast
import re
from pathlib import Path

from babel.messages.pofile import read_po

PROJECT = Path(__file__).resolve().parents[2]
CATALOGUE = PROJECT / "app" / "locale" / "zh_CN" / "evaluations_core.po"
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%%")
# Pages and the service of this domain keep a catalogue of their own.
SOURCES = [
    *(
        PROJECT / "app" / "scoring" / f"{name}.py"
        for name in (
            "checks",
            "conduct",
            "content_checks",
            "definitions",
            "run_verdict",
            "scores",
            "suites",
            "verdict",
        )
    ),
    *sorted((PROJECT / "worker" / "work" / "evaluation").glob("*.py")),
    PROJECT / "worker" / "parent" / "warm_chat.py",
]


def marked_messages() -> set[str]:
    messages = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "N_":
                messages.add(ast.literal_eval(node.args[0]))
    return messages


def test_the_catalogue_is_complete_and_keeps_the_placeholders() -> None:
    with CATALOGUE.open("rb") as file:
        translations = {str(m.id): str(m.string) for m in read_po(file) if m.id}
    messages = marked_messages()
    assert messages == set(translations)
    for message in messages:
        assert translations[message].strip(), message
        assert sorted(PLACEHOLDER.findall(translations[message])) == sorted(PLACEHOLDER.findall(message)), (
            message
        )
