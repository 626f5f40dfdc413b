"""The page Models: what is served and how it does, and for an operator the means to change it."""

from __future__ import annotations

import streamlit as st

from page import charts, model_facts, notices, operator_panel, session
from page.messages import explain
from page.model_options import WORDS
from page.status import card, status
from service.records import Model


def main() -> None:
    """The whole page."""
    st.title("Models")
    notices.test_mode()
    if session.is_test_mode():
        st.caption("In test mode no server is asked, so there is nothing to show here.")
        return
    st.fragment(_live, run_every=charts.EVERY)()
    operator_panel.show()


def _live() -> None:
    """What changes by itself."""
    now = status()
    if now.error:
        notices.tell(explain(now.error))
        return
    if not now.models:
        st.info("The server has no models. An operator can register an archive of the model store below.")
        return
    st.header("Now")
    charts.show([model.name for model in now.models])
    st.header("Registered")
    for model in now.models:
        _model(model)


def _model(model: Model) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"### {notices.plain(model.name)}", width="content")
            st.badge(WORDS[model.state], color=model_facts.COLOURS[model.state])
        cards = {
            version.version: card(model.name, version.version) for version in model.versions if version.state == "ready"
        }
        st.html(model_facts.show(model, cards))


main()
