"""The page Models: the served models and their activity, and for an operator the actions that change them."""

from __future__ import annotations

import streamlit as st

from page import charts, model_facts, notices, operator_panel, session
from page.model_options import STATE_LABELS
from page.status import model_card, status
from service.records import Model


def main() -> None:
    """The whole page."""
    st.title("Models")
    notices.show_test_mode()
    if session.is_test_mode():
        st.caption("In test mode no requests are sent to a server, so there is nothing to show here.")
        return
    st.fragment(show_models, run_every=charts.SCRAPE_SECONDS)()
    operator_panel.show()


def show_models() -> None:
    """The part of the page that is updated by itself."""
    now = status()
    if now.error:
        notices.show_error(now.error)
        return
    if not now.models:
        st.info("The server has no models. An operator can register an archive of the model store below.")
        return
    st.header("Now")
    charts.show([model.name for model in now.models])
    st.header("Registered")
    for model in now.models:
        show_model(model)


def show_model(model: Model) -> None:
    """A model's state, versions and workers."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"### {notices.escape_markdown(model.name)}", width="content")
            st.badge(STATE_LABELS[model.state], color=model_facts.STATE_COLOURS[model.state])
        ready = [version.version for version in model.versions if version.is_ready]
        st.html(model_facts.facts_of(model, {version: model_card(model.name, version) for version in ready}))


main()
