"""The state of the service: whether it answers, its models, and the metadata of their archives."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass

import streamlit as st

from page import session
from service.errors import ServiceError
from service.records import Model, ModelCard

STATUS_SECONDS = 2.0  # for which all visitors share one status
CARD_WAIT_SECONDS = 1.5  # a worker sends its card between two batches, so it may take longer
EMPTY_CARD = ModelCard("", "", "", "", "", (), {}, 640, "", "", "", "")


@dataclass(frozen=True)
class Status:
    """The latest state of the service: its models, or the error instead of them."""

    models: tuple[Model, ...]
    error: ServiceError | None

    @property
    def alive(self) -> bool:
        """Whether the service answers."""
        return self.error is None


def status() -> Status:
    """The state of the current service."""
    return _status(session.addresses())


def refresh() -> None:
    """Request the state anew next time, after a change."""
    _status.clear()


@st.cache_data(ttl=STATUS_SECONDS, show_spinner=False)
def _status(addresses: session.Addresses) -> Status:
    client = session.client_of(addresses)
    try:
        client.health()
        return Status(tuple(client.describe_all()), None)
    except ServiceError as error:
        return Status((), error)


def model_card(model: str, version: str) -> ModelCard:
    """The metadata of a version, or EMPTY_CARD until it arrives."""
    addresses = session.addresses()
    future = _future_card(addresses, model, version)
    try:
        return future.result(CARD_WAIT_SECONDS) or EMPTY_CARD
    except (ServiceError, NotYet):
        if future.done():
            _future_card.clear(addresses, model, version)
        return EMPTY_CARD


@st.cache_resource(max_entries=100, ttl=600, show_spinner=False)
def _future_card(addresses: session.Addresses, model: str, version: str) -> Future[ModelCard | None]:
    return _threads().submit(session.client_of(addresses).model_card, model, version)


@st.cache_resource
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(4, "model-cards")
