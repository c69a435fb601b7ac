"""Every sentence the worker may say has its Chinese, with the same places to fill."""

import ast
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

PROJECT = Path(__file__).resolve().parents[3]
SOURCES = [
    *(PROJECT / "worker" / "work" / name for name in ("child.py", "models.py", "protocol.py")),
    *sorted((PROJECT / "worker" / "work" / "training").glob("*.py")),
]


def marked(path: Path) -> list[str]:
    calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
    return [ast.literal_eval(call.args[0]) for call in calls if getattr(call.func, "id", None) == "N_"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_sentence_has_its_chinese(path: Path) -> None:
    with (PROJECT / "app/locale/zh_CN/worker.po").open("rb") as stream:
        catalogue = {message.id: message.string for message in read_po(stream) if message.id}
    for sentence in marked(path):
        places = [sorted(re.findall(r"%\(\w+\)\w", text)) for text in (sentence, catalogue.get(sentence, ""))]
        assert places[0] == places[1], sentence
        assert catalogue[sentence]
