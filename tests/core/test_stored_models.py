"""Documents that outlive the code that wrote them."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from app.core.i18n import use_locale
from app.core.stored_models import StoredModel, Told
from app.sentences import Sentence


class Figures(StoredModel):
    schema_version: int = 2
    loss: float | None

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Version 1 had no number and called it `value`."""
        return {"loss": document["value"]} if "value" in document else document


def test_today_s_earlier_and_later_documents_are_read() -> None:
    assert Figures.stored(Figures(loss=0.5).to_json()) == Figures(loss=0.5)
    assert Figures.stored({"value": 0.25}) == Figures(loss=0.25)
    assert Figures.stored({"schema_version": 3, "loss": 1.0, "new": "key"}).loss == 1.0


def test_what_is_no_such_document_is_refused() -> None:
    with pytest.raises(ValidationError, match="loss"):
        Figures.stored({"schema_version": 2})


def test_a_figure_that_is_no_number_is_stored_as_nothing() -> None:
    assert Figures(loss=math.nan).to_json() == {"schema_version": 2, "loss": None}


def test_a_sentence_is_told_in_the_readers_language() -> None:
    told = Told(sentence=Sentence.of("%(seconds)d s", seconds=3))
    assert told.detail == "3 s"
    with use_locale("zh-CN"):
        assert told.detail == "3 秒"
    assert told.model_dump()["detail"] == "3 s"
