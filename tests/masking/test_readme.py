"""The examples of app/masking/README.md are what the code does."""

import doctest
from pathlib import Path

from app.masking import ChatTokenizer

README = Path(__file__).parents[2] / "app/masking/README.md"


def test_every_example_of_the_readme_is_true(smollm2: ChatTokenizer) -> None:
    failed, tried = doctest.testfile(str(README), module_relative=False, globs={"tokenizer": smollm2})
    assert failed == 0
    assert tried > 20


def test_the_readme_shows_the_way_in_six_steps() -> None:
    headings = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    assert [heading[3] for heading in headings] == ["1", "2", "3", "4", "5", "6"]
