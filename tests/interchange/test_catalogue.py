"""Every sentence has a code and its Chinese, with the same parameters; the catalogue holds nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from app.interchange.sentences import exports as export_troubles
from app.interchange.sentences import files as file_troubles
from app.interchange.sentences import mapping as mapping_troubles
from app.interchange.sentences import records as record_troubles
from app.interchange.sentences import sources as source_troubles
from app.interchange.sentences.problems import OF_LINE, Trouble

ROOT = Path(__file__).parents[2]
TROUBLES = [
    value
    for module in (file_troubles, mapping_troubles, record_troubles, source_troubles, export_troubles)
    for value in vars(module).values()
    if isinstance(value, Trouble)
] + [OF_LINE]
PARAMETER = re.compile(r"%\((\w+)\)([sd])")


def chinese() -> dict[str, str]:
    with (ROOT / "app/locale/zh_CN/interchange.po").open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale="zh_CN") if m.id}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.code)
def test_every_sentence_has_its_chinese_with_the_same_parameters(trouble: Trouble) -> None:
    translated = chinese()[trouble.template]
    assert re.search("[\u4e00-\u9fff]", translated)
    assert sorted(PARAMETER.findall(translated)) == sorted(PARAMETER.findall(trouble.template))
    values = {name: 1 for name, _ in PARAMETER.findall(trouble.template)}
    assert "%" not in (translated % values)


def test_the_catalogue_holds_nothing_else_and_extraction_finds_every_sentence() -> None:
    sentences = {trouble.template for trouble in TROUBLES}
    found = {message for _, _, message, *_ in extract_from_dir(ROOT / "app/interchange")}
    assert set(chinese()) == sentences
    assert found >= sentences


def test_codes_are_unique_but_for_the_two_sentences_about_binary_files() -> None:
    codes = [trouble.code for trouble in TROUBLES]
    assert sorted(c for c in codes if codes.count(c) > 1) == ["binary", "binary"]
