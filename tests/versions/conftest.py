"""Datasets are tested on the same sample dialogues as conversations."""

from tests.conversations.conftest import dataset_id, make

__all__ = ["dataset_id", "make"]
