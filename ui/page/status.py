"""Whether the service is there, what it serves, and what its models say of themselves."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass

import streamlit as st

from page import session
from service.client import Client, ServiceError
from service.records import Card, Model

FRESH = 2.0  # seconds for which all visitors share one look at the service
CARD_PATIENCE = 1.5  # seconds; a worker gives its card between two batches, so it may take longer
NO_CARD = Card("", "", "", "", "", (), {}, 640, "", "", "", "")


@dataclass(frozen=True)
class Status:
    """The service as it was a moment ago: its models, or why they are not known."""

    models: tuple[Model, ...]
    error: ServiceError | None

    @property
    def alive(self) -> bool:
        """Whether it answers us."""
        return self.error is None


def status() -> Status:
    """The state of the service in force."""
    return _status(session.addresses())


def forget() -> None:
    """Look anew next time: something was changed."""
    _status.clear()


@st.cache_data(ttl=FRESH, show_spinner=False)
def _status(addresses: session.Addresses) -> Status:
    client = session.client_of(addresses)
    try:
        client.health()
        return Status(tuple(client.describe_all()), None)
    except ServiceError as error:
        return Status((), error)


def card(model: str, version: str) -> Card:
    """What a model says of itself, or an empty card until it does."""
    found = _card_soon(session.addresses(), model, version)
    try:
        return found.result(CARD_PATIENCE) or NO_CARD
    except (ServiceError, NotYet):
        if found.done():
            _card_soon.clear(session.addresses(), model, version)
        return NO_CARD


@st.cache_resource(max_entries=100, ttl=600, show_spinner=False)
def _card_soon(addresses: session.Addresses, model: str, version: str) -> Future[Card | None]:
    client: Client = session.client_of(addresses)
    return _threads().submit(client.card, model, version)


@st.cache_resource
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(4, "cards")
