"""Everything that runs without torch: web, REST, command line, masking and the rules of each domain.

Below all packages: `sentences` what is said · `files` where code and data lie · `invalid` a validator's findings as sentences ·
`unlocked` cached properties without a lock · `line_process` a child process spoken to in JSON lines. Above all domains: `main` the
application, `domains` what it loads after signing in, `routers` and `tables` the lists of both.
"""

from typing import Final

VERSION: Final = "0.1.0"
