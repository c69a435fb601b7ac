"""`python -m app.cli` is `sft-studio`."""

from app.cli import main

main()
