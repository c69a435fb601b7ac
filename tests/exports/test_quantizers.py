"""llama.cpp's quantizer is found where people have it, and what is named but is not there is never passed over."""

import sys
from pathlib import Path

import pytest

from app.exports import quantizers
from app.exports.quantizers import NoSuchQuantizer, Quantizer, find_quantizer


def a_program(folder: Path) -> Path:
    folder.mkdir()
    program = folder / "llama-quantize"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def a_package(folder: Path, name: str) -> Path:
    """As llama-cpp-python lies among the libraries."""
    (folder / name / "lib").mkdir(parents=True)
    (folder / name / "__init__.py").write_text("raise AssertionError('it is looked at and never loaded')\n")
    (folder / name / "lib" / "libllama.so").touch()
    return folder / name / "lib" / "libllama.so"


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(quantizers, "_PACKAGE", "sft_studio_tests_llama")
    return tmp_path


def test_where_none_is_nothing_is_found(nothing: Path) -> None:
    assert find_quantizer(None) is None
    # An empty variable names nothing.
    assert find_quantizer(Path()) is None


def test_what_is_named_comes_before_the_path_and_that_before_the_library(
    nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = a_package(nothing / "site", "sft_studio_tests_llama")
    monkeypatch.syspath_prepend(str(nothing / "site"))
    assert find_quantizer(None) == Quantizer("library", library)
    assert "sft_studio_tests_llama" not in sys.modules
    on_path = a_program(nothing / "on-path")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_quantizer(None) == Quantizer("program", on_path)
    named = a_program(nothing / "named")
    assert find_quantizer(named) == find_quantizer(named.parent) == Quantizer("program", named)


def test_a_name_that_leads_nowhere_is_refused_with_another_on_the_path(
    nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(a_program(nothing / "on-path").parent))
    (nothing / "plain").write_text("no program")
    for place in (nothing / "gone", nothing, nothing / "plain"):
        with pytest.raises(
            NoSuchQuantizer, match=f"SFT_STUDIO_LLAMA_QUANTIZE names {place}, and there is no"
        ):
            find_quantizer(place)
