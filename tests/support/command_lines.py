"""The command lines that the project tells people to use, read out of the files that tell them."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = "sft-studio"
# What a line may begin with besides `sft-studio`; a line that begins with anything else is not understood.
_OTHERS: Final = (
    "make",
    "python",
    "alembic",
    "docker",
    "export",
    "redis-server",
    "redis-cli",
    "sh",
    "pg_isready",
    "pg_dump",
    "pg_restore",
    "kubectl",
)
_FENCED: Final = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"`([^`\n]+)`")
_ASSIGNMENT: Final = re.compile(r"[A-Z_]+=")
# How compose reads a variable that may be missing.
_VARIABLE: Final = re.compile(r"\$\{\w+:-([^}]*)\}")


@dataclass(frozen=True)
class CommandLine:
    """One command line and the file that holds it."""

    file: str
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """Its first word that is no assignment."""
        return next((word for word in self.words if not _ASSIGNMENT.match(word)), "")


def documents() -> list[Path]:
    """Every text for people at the top of the project and below docs/; the changelog tells of other times."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return sorted(path for path in found if path.name != "CHANGELOG.md")


@cache
def all_command_lines() -> tuple[CommandLine, ...]:
    """Those of the documents, of what starts containers (docker-compose.yml, the Dockerfile, docs/kubernetes), and what
    `make` makes of its targets, once a file.

    Raises ValueError for a line of a fenced block that nobody understands.
    """
    found = [line for path in documents() for line in _of_document(path)]
    found += [*_of_compose(), *_of_dockerfile(), *_of_kubernetes()]
    makes = dict.fromkeys(line.words for line in found if line.program == "make")
    found += [step for words in makes for step in _of_make(words)]
    return tuple(dict.fromkeys(found))


def studio_commands() -> list[tuple[str, ...]]:
    """The arguments of every `sft-studio` among them, each once, in the order of the files."""
    lines = [line.words[1:] for line in all_command_lines() if line.program == PROGRAM]
    return list(dict.fromkeys(lines))


def _of_document(path: Path) -> Iterator[CommandLine]:
    text = path.read_text(encoding="utf-8")
    for block in _FENCED.findall(text):
        lines = [_words(line) for line in block.replace("\\\n", " ").splitlines() if line.strip()]
        known = [line for line in lines if CommandLine(path.name, line).program in (PROGRAM, *_OTHERS)]
        if known and len(known) < len(lines):
            raise ValueError(
                f"{path.name}: {sorted(set(lines) - set(known))[0]} is no command line known here"
            )
        yield from (CommandLine(path.name, line) for line in known)
    for span in _SPAN.findall(_FENCED.sub("", text)):
        line = CommandLine(path.name, _words(span))
        if (line.program == PROGRAM and len(line.words) > 1) or line.program in (
            "make",
            "python",
            "alembic",
            "docker",
        ):
            yield line


def _words(line: str) -> tuple[str, ...]:
    """Of one line, as a shell would read it; of one that no shell reads, the line itself."""
    try:
        return tuple(shlex.split(line, comments=True))
    except ValueError:
        return (line,)


def _of_compose() -> Iterator[CommandLine]:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    for service in services.values():
        if "command" in service and "entrypoint" not in service:
            words = (_VARIABLE.sub(lambda found: found[1], word) for word in service["command"])
            yield CommandLine("docker-compose.yml", tuple(words))


def healthcheck_of_web() -> tuple[str, ...]:
    """What docker-compose.yml runs beside the web server to see whether it lives."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    kind, *words = services["web"]["healthcheck"]["test"]
    assert kind == "CMD"
    return tuple(words)


def _of_dockerfile() -> Iterator[CommandLine]:
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith(("CMD ", "ENTRYPOINT ")):
            yield CommandLine("Dockerfile", tuple(json.loads(line.partition(" ")[2])))


def _of_kubernetes() -> Iterator[CommandLine]:
    for path in sorted(ROOT.glob("docs/kubernetes/*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            pod = document.get("spec", {}).get("template", {}).get("spec", {})
            for container in pod.get("containers", []):
                yield CommandLine(path.name, tuple(container["command"]))


def _of_make(make: tuple[str, ...]) -> Iterator[CommandLine]:
    """What `make` would run; raises CalledProcessError for a target that is not there."""
    variables = [word for word in make if _ASSIGNMENT.match(word)]
    targets = [word for word in make if word != "make" and word not in variables]
    command = ["make", "--dry-run", "--no-print-directory", *targets, *variables]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for recipe in done.stdout.splitlines():
        words = _words(recipe.removeprefix("exec "))
        if words and Path(words[0]).name in (PROGRAM, "python"):
            yield CommandLine("Makefile", (Path(words[0]).name, *words[1:]))
