"""What is copied from the page or the card into a shell is run as it stands."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.exports.snippets import Snippet, llama_cpp, vllm_adapter
from app.recipes.config import TrainingConfig
from app.runs.provenance import Provenance
from tests.support.servers import free_port
from tests.worker.conftest import PROVENANCE

RUN = Provenance.stored(PROVENANCE)
# Stays in the foreground as such servers do, and answers 503 while it would load its model.
SERVER = """#!{python}
import http.server, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
asked = []
class Answers(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(503 if len(asked) < 2 else 200)
        self.end_headers()
        self.wfile.write(asked[-1] if len(asked) > 1 else b"loading")
    def log_message(self, *_arguments): pass
http.server.HTTPServer(("127.0.0.1", port), Answers).serve_forever()
"""


@pytest.mark.parametrize(
    "snippet",
    [llama_cpp(RUN, "there/calls.gguf"), vllm_adapter(RUN, TrainingConfig(), "there")],
    ids=["llama.cpp", "vLLM"],
)
def test_a_server_is_begun_and_asked_once_it_has_loaded_the_model(snippet: Snippet, tmp_path: Path) -> None:
    port, usual = free_port(), 8080 if snippet.tool == "llama.cpp" else 8000
    for name in ("llama-server", "vllm"):
        program = tmp_path / name
        program.write_text(SERVER.format(python=sys.executable))
        program.chmod(0o755)
    # vLLM's port is its default, which no test may rely on to be free.
    text = snippet.text.replace(f":{usual}/", f":{port}/").replace("--retry-delay 2", "--retry-delay 1")
    text = text.replace(f"--port {usual}", f"--port {port}").replace(
        "vllm serve", f"vllm serve --port {port}"
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "no_proxy": "*"}
    with subprocess.Popen(
        ["bash", "-c", f"{text}\nkill $!"],
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as shell:
        try:
            said, _none = shell.communicate(timeout=60)
        finally:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGKILL)
    assert said.endswith('"messages": [{"role": "user", "content": "Hello"}], "temperature": 0}')
