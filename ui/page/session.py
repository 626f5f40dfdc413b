"""What the page remembers of one visitor, and the service that the visitor's page talks to."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from page.password import Gate, NotPermitted
from page.settings import Settings
from service.client import Client


@dataclass(frozen=True)
class Addresses:
    """The three addresses of a service."""

    inference: str
    management: str
    metrics: str

    @classmethod
    def of(cls, settings: Settings) -> Addresses:
        """Those of the page's own service."""
        return cls(settings.inference_url, settings.management_url, settings.metrics_url)


def kept(name: str, default: Any) -> Any:
    """A value of this visitor's session, set to `default` where there is none yet."""
    state: MutableMapping[Any, Any] = st.session_state
    if name not in state:
        state[name] = default
    return state[name]


@st.cache_resource
def settings() -> Settings:
    """The page's settings. Raises SettingsError."""
    return Settings.from_environment()


def addresses() -> Addresses:
    """The addresses in force: the settings', unless an operator has changed them for this session."""
    changed: Addresses | None = st.session_state.get("addresses")
    return changed or Addresses.of(settings())


def use_addresses(changed: Addresses | None) -> None:
    """Talk to another service from now on; None: the settings' again. Raises NotPermitted for all but an operator."""
    require_operator()
    st.session_state["addresses"] = changed


def client() -> Client:
    """The client of the service in force. Tokens go to the settings' own service only."""
    return client_of(addresses())


@st.cache_resource(max_entries=20)
def client_of(of: Addresses) -> Client:
    """A client, with the key file if the addresses are exactly those of the settings."""
    key_file = settings().key_file if of == Addresses.of(settings()) else None
    return Client(of.inference, of.management, key_file)


def is_test_mode() -> bool:
    """Whether answers are simulated, without a server."""
    return bool(st.session_state.get("test_mode"))


@st.cache_resource
def gate() -> Gate:
    """The one gate of this process that operators pass."""
    return Gate(settings().operator_password)


def require_operator() -> None:
    """Raises NotPermitted unless this visitor gave the operator's password in this session and did not lock again."""
    gate().require(st.session_state.get("permit"))


def is_operator() -> bool:
    """Whether this visitor may change things."""
    try:
        require_operator()
    except NotPermitted:
        return False
    return True
