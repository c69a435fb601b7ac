"""An unknown chat template is first tried in a child process with a clock and a memory limit;
then it may run here.
"""

import contextlib
import json
import math
import os
import resource
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.masking.errors import N_, MaskingError, TemplateFailed, TemplateUnsafe
from app.masking.templates import ChatTemplate

TIME_SECONDS = 2.0
MEMORY_BYTES = 256 * 2**20
STARTUP_SECONDS = 60.0
OUTPUT_BYTES = 4 * 2**20

_Key = tuple[str, str]  # a template's sha256 and what it is given
_trusted: set[str] = set()
_tried: set[_Key] = set()
_refused: dict[_Key, str] = {}

# Without the package's own __init__, for the child needs templates only and has to start quickly.
CHILD = (
    "import sys, types; package = types.ModuleType('app.masking'); package.__path__ = [sys.argv[2]]; "
    "sys.modules['app.masking'] = package; sys.path.insert(0, sys.argv[1]); "
    "from app.masking.{module} import child_main; child_main()"
)
HERE = Path(__file__).resolve().parent


def trust(template: ChatTemplate) -> None:
    """Let this template run here without a trial (it was tried before, or it is our own)."""
    _trusted.add(template.sha256)


def require_tried(
    template: ChatTemplate,
    variables: Mapping[str, Any],
    messages: Sequence[Mapping[str, Any]] = (),
    tools: Sequence[Any] | None = None,
) -> None:
    """Try the template once per process and `variables`, on rehearsals and on the first real conversation.

    Raises TemplateUnsafe when it used too much or broke the rules.
    """
    if template.closed or template.sha256 in _trusted:
        return
    key = (template.sha256, json.dumps(dict(variables), sort_keys=True))
    if key in _tried:
        return
    if key not in _refused:
        fault = _try_in_child(template.source, variables, messages, tools)
        if fault is None:
            _tried.add(key)
            return
        _refused[key] = fault
    raise TemplateUnsafe(
        N_("The chat template %(template)s was tried in a closed room and is refused: %(reason)s"),
        template=template.name,
        reason=_refused[key],
    )


def _try_in_child(
    source: str,
    variables: Mapping[str, Any],
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Any] | None,
) -> str | None:
    """None when every rehearsal ended, well or with the template's own error, within the limits."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(module="quarantine"), str(HERE.parents[1]), str(HERE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", ""), "OPENBLAS_NUM_THREADS": "1"},
        close_fds=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        if read_line(child.stdout.fileno(), STARTUP_SECONDS) != b"ready\n":
            raise MaskingError(N_("The process that tries unknown chat templates did not start."))
        with contextlib.suppress(BrokenPipeError):
            job = {"source": source, "variables": dict(variables), "messages": list(messages), "tools": tools}
            child.stdin.write(json.dumps(job).encode())
            child.stdin.close()
        answer = read_line(child.stdout.fileno(), TIME_SECONDS)
    finally:
        child.kill()
        child.wait()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        child.stdout.close()
    if answer is None:
        return f"it ran longer than {TIME_SECONDS:g} seconds"
    if not answer:
        return f"it used more than {TIME_SECONDS:g} seconds or {MEMORY_BYTES // 2**20} MiB"
    fault: str | None = json.loads(answer)["fault"]
    return fault


def read_line(descriptor: int, seconds: float, most_bytes: int = OUTPUT_BYTES) -> bytes | None:
    """One line; b"" when the other side ended without one or it is too long; None when time ran out."""
    deadline = time.monotonic() + seconds
    line = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            piece = os.read(descriptor, 65536)
            if not piece or len(line) > most_bytes:
                return b""
            line += piece
    return bytes(line)


def rehearsals() -> list[dict[str, Any]]:
    """Conversations of several shapes and lengths,
    so that a template shows what it does before real data meets it.
    """
    system = {"role": "system", "content": "You help."}
    user, assistant = (
        {"role": "user", "content": "How much is it?"},
        {"role": "assistant", "content": "Ten a month."},
    )
    call = {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "a1", "type": "function", "function": {"name": "price", "arguments": {"plan": "basic"}}}
        ],
    }
    result = {"role": "tool", "name": "price", "tool_call_id": "a1", "content": "10"}
    tool = {
        "type": "function",
        "function": {"name": "price", "description": "Price.", "parameters": {"type": "object"}},
    }
    shapes: list[list[dict[str, Any]]] = [
        [user],
        [user, assistant],
        [system, user, assistant],
        [user, assistant] * 4,
        [system] + [user, assistant] * 16,
        [user, call, result, assistant],
    ]
    return [
        {"messages": messages, "tools": tools, "add_generation_prompt": generation}
        for messages in shapes
        for tools in (None, [tool])
        for generation in (False, True)
    ]


def child_main() -> None:
    """The child: limits itself, renders every rehearsal, answers one line of JSON."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    job = json.loads(sys.stdin.buffer.read())
    limit_memory(MEMORY_BYTES)
    limit_cpu(TIME_SECONDS)
    print(json.dumps({"fault": _rehearse(job)}), flush=True)  # noqa: T201
    os._exit(0)


def limit_memory(more_bytes: int) -> None:
    """This process may take so much more memory, and write no file."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_cpu(more_seconds: float) -> None:
    """This process ends itself when it has worked so much longer, even if nobody is left to end it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime + more_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def _rehearse(job: dict[str, Any]) -> str | None:
    template = ChatTemplate(job["source"])
    real = {"messages": job["messages"], "tools": job["tools"], "add_generation_prompt": False}
    written = 0
    for rehearsal in [*rehearsals(), real]:
        try:
            messages = rehearsal.pop("messages")
            written += len(template.render(messages, job["variables"], **rehearsal))
        except TemplateFailed as error:
            if "sandbox forbids" in error.message:
                return str(error)
        except MemoryError:
            return f"it used more than {MEMORY_BYTES // 2**20} MiB"
        if written > OUTPUT_BYTES:
            return f"it wrote more than {OUTPUT_BYTES // 2**20} MiB for a few short conversations"
    return None
