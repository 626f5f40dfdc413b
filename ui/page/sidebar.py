"""The sidebar: whether the service answers, its description, its addresses, and the switch of test mode."""

from __future__ import annotations

import streamlit as st

from page import notices, session
from page.messages import explain
from page.settings import Settings
from page.status import Status, model_card, status
from service.environment import SettingsError

TEST_MODE_HELP = (
    "Shows simulated detections, without a server, to try the page. They are marked as simulated on the page and in "
    "every download."
)
ALIVE_POLL_SECONDS, DOWN_POLL_SECONDS = 5.0, 1.0


def show() -> None:
    """The whole sidebar."""
    with st.sidebar:
        st.subheader("Service")
        if session.is_test_mode():
            st.info("Test mode: no requests are sent to a server.", icon=":material/science:")
        else:
            now = status()
            st.fragment(_watch, run_every=ALIVE_POLL_SECONDS if now.alive else DOWN_POLL_SECONDS)()
            _show_description(now)
        _show_addresses()
        st.toggle("Test mode", key=session.TEST_MODE_KEY, persist_state="session", help=TEST_MODE_HELP)


def _watch() -> None:
    """Whether the service answers. A change of the service or its models reruns the page."""
    now = status()
    if now.error is None:
        ready = sum(model.is_ready for model in now.models)
        st.markdown(f":green[:material/check_circle:] **Alive.** {ready} of {len(now.models)} models ready.")
    else:
        title = notices.escape_markdown(explain(now.error).title)
        st.markdown(f":red[:material/error:] **{title}.** The page checks again by itself.")
    state, summary = session.state(), summary_of(now)
    if state.summary != summary:
        is_change = state.summary is not None
        state.summary = summary
        if is_change:
            notices.retry()


def summary_of(status: Status) -> session.ServerSummary:
    """What the page's choices depend on."""
    models = (
        (model.name, model.default_version, tuple((version.version, version.state) for version in model.versions))
        for model in status.models
    )
    return status.alive, tuple(models)


def _show_description(status: Status) -> None:
    """The service's title and description, from the archive of the first ready model."""
    ready = next((model for model in status.models if model.is_ready), None)
    card = model_card(ready.name, ready.default_version) if ready else None
    if card and card.title:
        st.markdown(f"**{notices.escape_markdown(card.title)}** {notices.escape_markdown(card.version)}")
        st.caption(notices.escape_markdown(card.description))


def _show_addresses() -> None:
    """The current address, and for an operator the form that changes it."""
    current = session.addresses()
    st.markdown(f"Server `{current.inference}`")
    if not session.is_operator():
        st.caption("An operator can change it, see Models.")
        return
    with st.expander("Change the server"), st.form("addresses", border=False):
        inference = st.text_input("Inference address", current.inference)
        management = st.text_input("Management address", current.management)
        metrics = st.text_input("Metrics address", current.metrics)
        st.caption("The tokens in the page's key file are sent to the page's own server only.")
        if st.form_submit_button("Use this server"):
            _use(inference, management, metrics)
        if st.form_submit_button("Back to the page's own"):
            session.use_addresses(None)
            notices.retry()


def _use(inference: str, management: str, metrics: str) -> None:
    """Use the service at these addresses, if they are valid."""
    variables = {"INFERENCE_URL": inference, "MANAGEMENT_URL": management, "METRICS_URL": metrics}
    try:
        checked = Settings.from_environment(variables)
    except SettingsError as error:
        st.error(notices.escape_markdown(f"{error}."))
        return
    session.use_addresses(session.Addresses.of(checked))
    notices.retry()
