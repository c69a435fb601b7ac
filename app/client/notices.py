"""The part of the client that hears of ends, and has other programs told of them."""

from dataclasses import asdict

from app.client.speaking import Connection
from app.notices.schemas import DeliveryOut, NoticesOut, WebhookMadeOut, WebhookOut, WebhookRequest

_WEBHOOKS = "/api/v1/webhooks"


class NoticeClient(Connection):
    """What the server can be asked of notices and webhooks."""

    def notices(self, *, unread: bool, limit: int) -> NoticesOut:
        """What ended of one's own, the newest first; all, or what was not read."""
        params = {"unread": unread, "limit": limit}
        return self._one(NoticesOut, "GET", "/api/v1/notices", params=params)

    def read_notices(self) -> None:
        """All of one's own were read."""
        self._ask("POST", "/api/v1/notices/read")

    def webhooks(self) -> list[WebhookOut]:
        """Addresses that are told of ends."""
        return self._all(WebhookOut, "GET", _WEBHOOKS)

    def add_webhook(self, asked: WebhookRequest) -> WebhookMadeOut:
        """Have an address told."""
        return self._one(WebhookMadeOut, "POST", _WEBHOOKS, json=asdict(asked))

    def remove_webhook(self, webhook_id: int) -> None:
        """Tell it no more."""
        self._ask("DELETE", f"{_WEBHOOKS}/{webhook_id}")

    def test_webhook(self, webhook_id: int) -> DeliveryOut:
        """Have a test sent."""
        return self._one(DeliveryOut, "POST", f"{_WEBHOOKS}/{webhook_id}/test")

    def deliveries(self, webhook_id: int) -> list[DeliveryOut]:
        """What was sent, the newest first."""
        return self._all(DeliveryOut, "GET", f"{_WEBHOOKS}/{webhook_id}/deliveries")

    def deliver_again(self, webhook_id: int, delivery_id: int) -> DeliveryOut:
        """Have a message sent once more."""
        return self._one(DeliveryOut, "POST", f"{_WEBHOOKS}/{webhook_id}/deliveries/{delivery_id}/again")
