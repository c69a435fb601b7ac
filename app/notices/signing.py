"""Signatures by the Standard Webhooks convention: HMAC-SHA256 over id, time and body, so that a receiver knows who sent it, that
nothing was changed, and that it is not an old message again."""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

from app.core.errors import Invalid
from app.sentences import N_

PREFIX: Final = "whsec_"
ID_HEADER: Final = "webhook-id"
TIME_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
_LEAST_BYTES, _MOST_BYTES = 24, 64


def new_secret() -> str:
    """A secret that nobody guesses."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> str:
    """As typed. Raises Invalid for one that the convention does not know."""
    found = _key(secret.strip())
    if found is None or not _LEAST_BYTES <= len(found) <= _MOST_BYTES:
        raise Invalid(
            N_(
                "%(field)s: write whsec_ and 24 to 64 bytes in base64, or leave it empty and one is made: the receiver needs it."
            ),
            field="secret",
        )
    return secret.strip()


def headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Of a message that is sent at `timestamp` (seconds since 1970)."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    digest = hmac.new(_key(secret) or b"", signed, hashlib.sha256).digest()
    return {
        ID_HEADER: message_id,
        TIME_HEADER: str(timestamp),
        SIGNATURE_HEADER: f"v1,{base64.b64encode(digest).decode()}",
    }


def _key(secret: str) -> bytes | None:
    if not secret.startswith(PREFIX):
        return None
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
