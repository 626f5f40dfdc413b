"""The sidebar: the service's address, whether it is alive and what it says of itself, and test mode."""

from __future__ import annotations

import streamlit as st

from page import notices, session
from page.messages import explain
from page.settings import Settings
from page.status import Status, card, status
from service.environment import SettingsError
from service.records import Model

TEST_MODE = (
    "Shows made-up detections, without a server, to try the page. They are marked as simulated on the page and in "
    "every download."
)
CALM, ANXIOUS = 5.0, 1.0  # seconds between looks at a service that answers, and at one that does not


def show() -> None:
    """All of it."""
    with st.sidebar:
        st.subheader("Service")
        if session.is_test_mode():
            st.info("Test mode: no server is asked.", icon=":material/science:")
        else:
            now = status()
            st.fragment(_watch, run_every=CALM if now.alive else ANXIOUS)()
            _about(now)
        _addresses()
        st.toggle("Test mode", key="test_mode", persist_state="session", help=TEST_MODE)


def _watch() -> None:
    """Whether the service is alive, looked at again and again; what depends on it follows by itself."""
    now = status()
    if now.error is None:
        ready = sum(model.state == "ready" for model in now.models)
        st.markdown(f":green[:material/check_circle:] **Alive.** {ready} of {len(now.models)} models ready.")
    else:
        st.markdown(f":red[:material/error:] **{notices.plain(explain(now.error).title)}.** Looking again by itself.")
    seen = (now.alive, tuple((model.name, model.default_version, versions_of(model)) for model in now.models))
    if session.kept("seen", seen) != seen:
        st.session_state["seen"] = seen
        notices.retry()


def versions_of(model: Model) -> tuple[tuple[str, str], ...]:
    """A model's versions and their states: what the pages' choices depend on."""
    return tuple((version.version, version.state) for version in model.versions)


def _about(now: Status) -> None:
    """What the first ready model's archive says of the service."""
    ready = next((model for model in now.models if model.state == "ready"), None)
    about = card(ready.name, ready.default_version) if ready else None
    if about and about.title:
        st.markdown(f"**{notices.plain(about.title)}** {notices.plain(about.version)}")
        st.caption(notices.plain(about.description))


def _addresses() -> None:
    """The address in force; for an operator, also the way to change it."""
    now = session.addresses()
    st.markdown(f"Server `{now.inference}`")
    if not session.is_operator():
        st.caption("An operator can change it, see Models.")
        return
    with st.expander("Change the server"), st.form("addresses", border=False):
        inference = st.text_input("Inference address", now.inference)
        management = st.text_input("Management address", now.management)
        metrics = st.text_input("Metrics address", now.metrics)
        st.caption("The tokens in the page's key file go to the server that they are of, and to no other.")
        if st.form_submit_button("Use this server"):
            _use(inference, management, metrics)
        if st.form_submit_button("Back to the page's own"):
            session.use_addresses(None)
            notices.retry()


def _use(inference: str, management: str, metrics: str) -> None:
    """Talk to the service at these addresses, if they are any."""
    variables = {"INFERENCE_URL": inference, "MANAGEMENT_URL": management, "METRICS_URL": metrics}
    try:
        checked = Settings.from_environment(variables)
    except SettingsError as error:
        st.error(notices.plain(f"{error}."))
        return
    session.use_addresses(session.Addresses.of(checked))
    notices.retry()
