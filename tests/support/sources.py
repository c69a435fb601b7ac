"""The program's sources as trees: each file is parsed once in a session, however many tests read it. Nobody changes a tree."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def files(*folders: str) -> tuple[Path, ...]:
    """Every module below these folders of the project, folder by folder in order of their paths."""
    return tuple(path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


@cache
def tree_of(path: Path) -> ast.Module:
    """A module as it stands."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Everything in a module, as `ast.walk` finds it."""
    return tuple(ast.walk(tree_of(path)))


def trees(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Every module below these folders of the program."""
    for path in files(*folders):
        yield path, tree_of(path)
