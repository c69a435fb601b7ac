"""Addresses as clients send them: any text may come, and not all of it can be taken apart; and which machine a name means."""

import ipaddress
from urllib.parse import SplitResult, urlsplit


def split_address(text: str) -> SplitResult | None:
    """Its parts; None for what is no address, such as “http://[”."""
    try:
        return urlsplit(text)
    except ValueError:
        return None


def own_path(target: str) -> str:
    """A path on this server, never another site: “/” for anything else."""
    parts = split_address(target)
    if parts is None or parts.scheme or parts.netloc:
        return "/"
    if not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    return target


def path_of(address: str) -> str:
    """The path and query of a whole address such as a Referer; “/” where it has none."""
    parts = split_address(address)
    if parts is None:
        return "/"
    return own_path((parts.path + (f"?{parts.query}" if parts.query else "")) or "/")


def is_loopback(host: str) -> bool:
    """Whether the name means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
