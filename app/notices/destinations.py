"""Which hosts a webhook may call: those that a setting names, and of their addresses only public ones unless another says so.

The address that was checked is the one that is called, so that a name cannot mean something else a moment later.
"""

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from app.core.errors import Invalid, StudioError
from app.core.settings import Settings
from app.sentences import N_

HOSTS_SETTING: Final = "SFT_STUDIO_WEBHOOK_HOSTS"
NETWORKS_SETTING: Final = "SFT_STUDIO_WEBHOOK_NETWORKS"
_LONGEST: Final = 500


class Unreachable(StudioError):
    """The host has no address that may be called now."""


@dataclass(frozen=True)
class Destination:
    """An address taken apart: where to call, and by which name."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The name as a request says it."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return name if self.port == usual else f"{name}:{self.port}"


def read_destination(url: str, settings: Settings) -> Destination:
    """Raises Invalid for what is no such address, and for a host that the setting does not name."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = (parts.hostname or "").lower().rstrip(".")
    if parts.scheme not in ("http", "https") or not host or parts.username or len(url) > _LONGEST:
        raise Invalid(
            N_(
                "%(field)s: write a whole address, such as https://ci.example.com/hooks/studio, without a user name."
            ),
            field="url",
        )
    port = port or (443 if parts.scheme == "https" else 80)
    if not any(_names(entry, host, port) for entry in settings.webhook_hosts):
        raise Invalid(
            N_(
                "%(field)s: the host %(host)s is not allowed. Whoever runs the server names it in %(setting)s, for web and workers."
            ),
            field="url",
            host=host,
            setting=HOSTS_SETTING,
        )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme, host, port, target)


def address_of(destination: Destination, settings: Settings) -> str:
    """The IP address to call. Raises Unreachable where the name has none, or one that may not be called."""
    try:
        found = socket.getaddrinfo(destination.host, destination.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreachable(N_("The host %(host)s has no address."), host=destination.host) from None
    addresses = list(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))
    for address in addresses:
        if not _may_be_called(address, settings):
            raise Unreachable(
                N_(
                    "The host %(host)s has the address %(address)s, which is not public. Whoever runs the server may name its "
                    "network in %(setting)s."
                ),
                host=destination.host,
                address=address,
                setting=NETWORKS_SETTING,
            )
    return addresses[0]


def _names(entry: str, host: str, port: int) -> bool:
    """An entry is a host, *.example.com for those below it, or one with a port, to which it is limited."""
    wanted, colon, number = entry.lower().rpartition(":")
    if not colon or not number.isdigit() or wanted.endswith(":"):
        wanted, number = entry.lower(), ""
    if number and int(number) != port:
        return False
    wanted = wanted.strip("[]")
    if wanted.startswith("*."):
        return host.endswith(wanted[1:])
    return host == wanted


def _may_be_called(text: str, settings: Settings) -> bool:
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    if any(address in network for network in settings.webhook_networks):
        return True
    return address.is_global and not address.is_multicast
