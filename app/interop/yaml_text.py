"""YAML with a heading that people wrote."""

import json
from typing import Any

import yaml


def yaml_text(title: str, value: dict[str, Any]) -> str:
    """The mapping in its own order, below a comment with the title, which cannot end the comment it stands in."""
    return f"# {one_line(title)}\n" + yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def one_line(title: str) -> str:
    """A title in quotes on one line, whatever it holds."""
    return json.dumps("".join(c if c.isprintable() else " " for c in title), ensure_ascii=False)
