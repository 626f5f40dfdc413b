"""The operator's part of the page Models: the password, and the actions behind it.

Hidden widgets protect nothing: `Operator` checks the permit before each action.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from page import notices, session
from page import operator_actions as actions
from page.password import NotPermitted, WrongPassword
from page.status import refresh, status
from service.errors import ServiceError
from service.operator import InvalidAction, Operator


def show() -> None:
    """The part of the panel that this visitor may see."""
    st.header("Operator", anchor=False)
    if not session.gate().exists:
        _show_how_to_enable()
    elif session.is_operator():
        _show_actions()
    else:
        _ask_for_password()


def perform(success: str, change: Callable[[Operator], None]) -> None:
    """Run an action and rerun the page with its outcome; `success` is the message if it succeeds."""
    error: Exception | None = None
    try:
        with st.spinner("Working ..."):
            actions.swap_jobs().require_none()
            change(actions.operator())
    except (ServiceError, InvalidAction, NotPermitted) as raised:
        error = raised
    session.state().action_outcome = session.ActionOutcome(success, error)
    refresh()
    st.rerun()


def _show_how_to_enable() -> None:
    st.info(
        "Operator actions are off: no password is configured, so nobody can change the server from this page. "
        "To turn them on, start the service with a password:",
        icon=":material/lock:",
    )
    st.code("UI_OPERATOR_PASSWORD=... scripts/up", language="bash")
    st.caption("Or write it into a file, such as a mounted secret, and set UI_OPERATOR_PASSWORD_FILE to its path.")


def _ask_for_password() -> None:
    st.caption("Scaling, loading, swapping, registering and unregistering models need the operator's password.")
    with st.form("unlock", clear_on_submit=True, width=420):
        password = st.text_input("Operator password", type="password", autocomplete="current-password")
        if st.form_submit_button("Unlock", icon=":material/lock_open:"):
            try:
                session.state().permit = session.gate().unlock(password)
            except WrongPassword as error:
                notices.show_error(error)
            else:
                st.rerun()


def _show_actions() -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            "Unlocked in this session. Changes last until the service is stopped: at its next start it serves the "
            "models that `scripts/up` is given."
        )
        if st.button("Lock", icon=":material/lock:"):
            _lock()
    _show_last_outcome()
    now = status()
    if now.error:
        st.caption("Actions are available again when the server answers.")
        return
    workers, swap, register, remove = st.tabs(["Workers", "Hot swap", "Register", "Default and removal"])
    with workers:
        actions.workers(now.models, perform)
    with swap:
        actions.swap(now.models)
    with register:
        actions.register(perform)
    with remove:
        actions.default_and_removal(now.models, perform)


def _lock() -> None:
    state = session.state()
    if state.permit:
        session.gate().lock(state.permit)
    state.permit = None
    st.rerun()


def _show_last_outcome() -> None:
    outcome = session.state().action_outcome
    if outcome and outcome.error:
        notices.show_error(outcome.error)
    elif outcome:
        st.success(notices.escape_markdown(outcome.success), icon=":material/check:")
