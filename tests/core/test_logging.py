"""Log lines go to standard error, each once."""

import subprocess
import sys


def test_a_line_is_written_once_however_often_logging_is_set_up() -> None:
    code = (
        "from app.core.logging import configure_logging, get_logger\n"
        "configure_logging(); configure_logging('WARNING')\n"
        "get_logger('x').warning('said %s', 'once'); get_logger('x').info('not said')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    (line,) = done.stderr.splitlines()
    assert line.endswith("WARNING sft_studio.x said once")
    assert done.stdout == ""
