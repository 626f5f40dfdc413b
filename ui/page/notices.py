"""Errors on the page, each with what to do and a button to try again where that may help."""

from __future__ import annotations

import re

import streamlit as st

from page import session
from page.jobs import Memory, forget_failures
from page.messages import Explanation, explain
from results.simulation import MARK
from service.records import State

MOST = 2000  # answers that are remembered for a visitor
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#~|$:])")


def show(error: Exception, key: str, state: State | None = None) -> None:
    """An error of the service or of the page itself."""
    explanation = explain(error, state)
    tell(explanation)
    if explanation.retry and st.button("Try again", key=f"retry-{key}", icon=":material/refresh:"):
        retry()


def tell(explanation: Explanation) -> None:
    """A title and what to do."""
    st.error(f"**{plain(explanation.title)}.** {plain(explanation.text)}", icon=":material/error:")


def retry() -> None:
    """Run the page anew, with the errors forgotten that may not come again."""
    forget_failures(answers())
    st.rerun()


def answers() -> Memory:
    """What the service answered in this session."""
    memory: Memory = session.kept("answers", {})
    for key in list(memory)[:-MOST]:  # the oldest
        memory.pop(key, None)
    return memory


def test_mode() -> None:
    """What stands above everything in test mode."""
    if session.is_test_mode():
        st.warning(f"**{MARK}.** Turn test mode off in the sidebar for real answers.", icon=":material/science:")


def plain(text: str) -> str:
    """A text in which Markdown finds nothing to format."""
    return MARKDOWN.sub(r"\\\1", text)
