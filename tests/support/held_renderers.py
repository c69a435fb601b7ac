"""Processes of templates that render nothing before they are let go: a slow rendering is under way for as long as a test needs it."""

import sys
from pathlib import Path

import pytest

from app.files import CODE_FOLDER
from app.masking.templates import isolated

# What has no end is soon ended once it is let go: how long it works is no matter here. While it is held it has worked for nothing.
_RENDERER = """
import sys, time; from pathlib import Path; sys.path.insert(0, sys.argv[1])
from app.masking.templates import isolated_child
answer = isolated_child._answer
isolated_child.RENDER_SECONDS /= 10
def when_let_go(template, *more):
    isolated_child._limit_time(0)
    while sys.argv[3] in template.source and not Path(sys.argv[2]).exists():
        time.sleep(0.02)
    isolated_child._limit_time(isolated_child.RENDER_SECONDS)
    return answer(template, *more)
isolated_child._answer = when_let_go
isolated_child.main()
"""


def hold_renderers(monkeypatch: pytest.MonkeyPatch, file: Path, words: str = "") -> None:
    """Templates in which these words stand are rendered once the file is there, and waited for until then."""
    command = (sys.executable, "-I", "-c", _RENDERER, str(CODE_FOLDER), str(file), words)
    monkeypatch.setattr(isolated, "COMMAND", command)
    monkeypatch.setattr(isolated, "ANSWER_SECONDS", 240.0)
