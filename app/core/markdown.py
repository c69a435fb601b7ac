"""People's own words inside Markdown that the product writes."""


def on_one_line(text: str) -> str:
    """On one line, without the marks that Markdown would read."""
    plain = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#|" else letter for letter in plain)
