"""The child process of isolated rendering: it limits itself, reads one template and renders what it is asked.

It may take so much memory, so much processor time a request, write no file, and send back so much text.
"""

import json
import os
import resource
import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from app.masking.errors import TemplateFailed
from app.masking.templates.chat_template import ChatTemplate

READY = b"ready\n"
RENDER_SECONDS = 2.0
MEMORY_BYTES = 256 * 2**20
# A rendering may be so much longer than what it is made of.
OUTPUT_BYTES, OUTPUT_TIMES = 2**20, 4


def main() -> None:
    """Renders one request a line until its input ends."""
    # Ctrl-C is for the parent; this process ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed is no answer
    answers.write(READY)
    answers.flush()
    template: ChatTemplate | None = None
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if template is None:
            _limit_memory()
            template = ChatTemplate(request["source"])
            answer: dict[str, Any] = {}
        else:
            began = time.process_time()
            _limit_time(RENDER_SECONDS)
            answer = _answer(template, request, OUTPUT_BYTES + OUTPUT_TIMES * len(line))
            _limit_time(0)
            answer["seconds"] = time.process_time() - began
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _limit_memory() -> None:
    """So much more than now, and no file."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: float) -> None:
    """The kernel ends this process when it has worked so long, whatever it is in the middle of; 0: no limit."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _answer(template: ChatTemplate, request: dict[str, Any], most_bytes: int) -> dict[str, Any]:
    try:
        if request.get("reads"):
            return {"names": sorted(template.reads)}
        moment = request.pop("moment")
        request["moment"] = datetime.fromisoformat(moment) if moment else None
        many = request.pop("many", None)
        if many is not None:
            return {"texts": _render_many(template, many, request, most_bytes)}
        text = template.render(request.pop("messages"), request.pop("variables"), **request)
    except TemplateFailed as error:
        return {"failed": error.sentence.to_json()}
    except MemoryError:
        return {"unsafe": True}
    return {"unsafe": True} if len(text) > most_bytes else {"text": text}


def _render_many(
    template: ChatTemplate, many: list[Any], request: dict[str, Any], most_bytes: int
) -> list[str | None] | None:
    """The text of each conversation; None for one that fails, and for all of them where they are too much: each is
    then asked for by itself."""
    variables = request.pop("variables")
    texts: list[str | None] = []
    written = 0
    try:
        for messages in many:
            try:
                texts.append(template.render(messages, variables, **request))
            except TemplateFailed:
                texts.append(None)
            written += len(texts[-1] or "")
            if written > most_bytes:
                return None
    except MemoryError:
        return None
    return texts
