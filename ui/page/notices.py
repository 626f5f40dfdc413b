"""Messages on the page: errors, each with what to do and a button to try again, and the banner of test mode."""

from __future__ import annotations

import re

import streamlit as st

from page import session
from page.messages import Explanation, explain
from results.simulation import SIMULATED_NOTICE
from service.records import State

MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#~|$:])")


def show_error(error: Exception) -> None:
    """What happened and what to do."""
    _show(explain(error))


def show_error_with_retry(error: Exception, key: str, state: State | None = None) -> None:
    """What happened and what to do, and a button if a retry may succeed. `key`: the button's, unique on the page."""
    explanation = explain(error, state)
    _show(explanation)
    if explanation.retry and st.button("Try again", key=f"retry-{key}", icon=":material/refresh:"):
        retry()


def retry() -> None:
    """Rerun the page and send again what failed and may succeed now."""
    session.state().answers.drop_failures()
    st.rerun()


def show_test_mode() -> None:
    """The banner of test mode, if it is on."""
    if session.is_test_mode():
        text = f"**{SIMULATED_NOTICE}.** Turn test mode off in the sidebar for real answers."
        st.warning(text, icon=":material/science:")


def escape_markdown(text: str) -> str:
    """The text with its Markdown characters escaped."""
    return MARKDOWN.sub(r"\\\1", text)


def _show(explanation: Explanation) -> None:
    title, text = escape_markdown(explanation.title), escape_markdown(explanation.text)
    st.error(f"**{title}.** {text}", icon=":material/error:")
