"""The operator's part of the page Models: the password, and the actions behind it.

Every action goes through `Operator`, which asks the gate each time; hiding a widget protects nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from page import notices, session
from page import operator_actions as actions
from page.messages import explain
from page.password import NotPermitted, WrongPassword
from page.status import forget, status
from service.client import ServiceError
from service.operator import InvalidAction, Operator


def show() -> None:
    """What this visitor may see of it."""
    st.header("Operator", anchor=False)
    if not session.gate().exists:
        _how_to_enable()
    elif session.is_operator():
        _unlocked()
    else:
        _password()


def _how_to_enable() -> None:
    st.info(
        "Operator actions are off: no password is configured, so nobody can change the server from this page. "
        "To turn them on, start the service with one:",
        icon=":material/lock:",
    )
    st.code("UI_OPERATOR_PASSWORD=... scripts/up", language="bash")
    st.caption("Or put it into a file, such as a mounted secret, and name that in UI_OPERATOR_PASSWORD_FILE.")


def _password() -> None:
    st.caption("Scaling, loading, swapping, registering and unregistering models need the operator's password.")
    with st.form("unlock", clear_on_submit=True, width=420):
        password = st.text_input("Operator password", type="password", autocomplete="current-password")
        if st.form_submit_button("Unlock", icon=":material/lock_open:"):
            try:
                st.session_state["permit"] = session.gate().unlock(password)
            except WrongPassword as error:
                notices.tell(explain(error))
            else:
                st.rerun()


def _unlocked() -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            "Unlocked in this session. Changes last until the service is stopped: when it starts again it serves "
            "the models that `scripts/up` is given."
        )
        if st.button("Lock", icon=":material/lock:"):
            session.gate().lock(st.session_state.pop("permit"))
            st.rerun()
    _last_outcome()
    now = status()
    if now.error:
        st.caption("Actions come back when the server answers.")
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


def perform(done: str, change: Callable[[Operator], None]) -> None:
    """Carry an action out and show what came of it, `done` if it went well."""
    outcome: tuple[str, Exception | None] = done, None
    try:
        with st.spinner("Working ..."):
            actions.exchanges().require_none()
            change(actions.operator())
    except (ServiceError, InvalidAction, NotPermitted) as error:
        outcome = done, error
    st.session_state["outcome"] = outcome
    forget()
    st.rerun()


def _last_outcome() -> None:
    done, error = st.session_state.get("outcome") or ("", None)
    if error:
        notices.tell(explain(error))
    elif done:
        st.success(notices.plain(done), icon=":material/check:")
