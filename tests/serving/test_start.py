"""What is loaded before the server answers for the first time: every module counts on a slow processor."""

import json
import os
import subprocess
import sys
from pathlib import Path

from alembic.script import ScriptDirectory

from app.core.migrations import alembic_config, all_revisions, head_revision
from tests.support.servers import free_port

ROOT = Path(__file__).parents[2]
# `serve` in this very process until it would welcome people; then what is loaded, instead of the rest.
SCRIPT = """
import json, os, sys
import app.cli, app.cli.serve
def ready(*_started):
    print(json.dumps(sorted(sys.modules)), flush=True)
    os._exit(0)
app.cli.serve._when_it_answers = ready
app.cli.run(["serve"])
"""
# What comes later, or never in this process.
LATER = {
    "torch", "transformers", "peft", "datasets", "accelerate", "pandas", "pyarrow", "openpyxl", "alembic", "mako", "celery",
    "kombu", "prompt_toolkit", "click_repl", "pygments", "redis", "httpx", "websockets", "snowballstemmer", "numpy", "tokenizers",
    "yaml", "psutil", "regex",
}  # fmt: skip
MOST_MODULES = 1040


def loaded_by_serve(folder: Path) -> list[str]:
    environment = {**os.environ, "SFT_STUDIO_DATA": str(folder), "SFT_STUDIO_PORT": str(free_port())}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_first_answer_waits_for_nothing_that_can_come_later(tmp_path: Path) -> None:
    loaded_by_serve(tmp_path)  # a new database is made by Alembic
    modules = loaded_by_serve(tmp_path)
    assert sorted({name.partition(".")[0] for name in modules} & LATER) == []
    assert sorted({"app.domains", "app.routers", "app.tables"} & set(modules)) == []
    assert len(modules) < MOST_MODULES


def test_the_newest_schema_is_known_without_alembic() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert head_revision() == scripts.get_current_head()
    assert all_revisions() == sorted(script.revision for script in scripts.walk_revisions())
