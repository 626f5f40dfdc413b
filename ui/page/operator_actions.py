"""The forms of an operator's actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from page import notices, session
from page.answer_view import counted
from page.messages import explain
from page.password import NotPermitted
from page.picture_sources import SAMPLE
from page.status import forget
from page.swap_job import Exchange, Exchanges
from service.archives import Archive, list_archives
from service.operator import MOST_WORKERS, InvalidAction, Operator
from service.records import Model, Version
from service.swap import Step, hot_swap

Perform = Callable[[str, Callable[[Operator], None]], None]
MARKS = {"running": ":material/hourglass_top:", "done": ":green[:material/check:]", "failed": ":red[:material/close:]"}
POLL = 0.5  # seconds between two looks at a swap


def operator() -> Operator:
    """The means to change the service in force; each change asks the gate for this session's permit."""
    gate, permit = session.gate(), st.session_state.get("permit")
    return Operator(session.client(), lambda: gate.require(permit))


@st.cache_resource
def exchanges() -> Exchanges:
    """The swaps of this process."""
    return Exchanges()


def workers(models: Sequence[Model], perform: Perform) -> None:
    """Scale, load and unload."""
    found = _version(models, "workers")
    if found is None:
        return
    name, model, version = found
    count = st.number_input(
        "Workers", 1, MOST_WORKERS, max(1, version.min_workers), key=f"count-{name}-{version.min_workers}", width=200,
        help="Each is a process with its own copy of the network. What one that goes has in work may fail.",
    )  # fmt: skip
    with st.container(horizontal=True):
        if version.state == "unloaded":
            if st.button("Load", icon=":material/play_arrow:", type="primary"):
                perform(f"{name} is loaded.", lambda it: it.load(model.name, version.version, int(count)))
            return
        if st.button("Scale", icon=":material/tune:", type="primary"):
            perform(
                f"{name} has {counted(int(count), 'worker', 'workers')}.",
                lambda it: it.scale(model.name, version.version, int(count)),
            )
        if st.button("Unload", icon=":material/stop:"):
            perform(
                f"{name} is unloaded; it stays registered and answers 503.",
                lambda it: it.unload(model.name, version.version),
            )


def swap(models: Sequence[Model]) -> None:
    """Exchange a model's default version for an archive."""
    st.caption(
        "Registers the archive beside the version that serves, tries a picture, makes it the default, waits until the "
        "old version has answered all it had, and removes it. If anything fails, all is put back. No request is lost."
    )
    last = exchanges().last
    if last and last.running:
        st.fragment(_watch_swap, run_every=POLL)()
        return
    if last:
        _show_swap(last)
    model = st.selectbox("Model", models, format_func=lambda each: each.name, key="swap-model")
    if model is None:
        return
    registered = {version.version for version in model.versions}
    archive = _archive("swap-archive", lambda each: each.model == model.name and each.version not in registered)
    if st.button("Swap", icon=":material/swap_horiz:", type="primary", disabled=not archive):
        try:
            session.require_operator()
            exchanges().start(model.name, archive, hot_swap(operator(), model.name, archive, SAMPLE.read_bytes()))
        except (InvalidAction, NotPermitted) as error:
            notices.tell(explain(error))
        else:
            st.session_state.pop("outcome", None)
            st.rerun()


def register(perform: Perform) -> None:
    """Register an archive of the store."""
    archive = _archive("register-archive", lambda _: True)
    count = st.number_input("Workers", 0, MOST_WORKERS, 1, key="register-workers", width=200)
    if st.button("Register", icon=":material/add:", type="primary", disabled=not archive):
        perform(f"{archive} is registered.", lambda it: it.register(archive, workers=int(count)))


def default_and_removal(models: Sequence[Model], perform: Perform) -> None:
    """Choose the version that serves, and unregister one."""
    found = _version(models, "removal")
    if found is None:
        return
    name, model, version = found
    with st.container(horizontal=True):
        is_default = version.version == model.default_version
        if st.button("Make default", icon=":material/star:", disabled=is_default):
            perform(f"{name} is the default.", lambda it: it.set_default(model.name, version.version))
        if st.button("Unregister", icon=":material/delete:", disabled=is_default and len(model.versions) > 1):
            _confirm_removal(name, model, version, perform)
    if is_default and len(model.versions) > 1:
        st.caption("The default version is the last to go: make another one the default first.")


@st.dialog("Unregister this version?")
def _confirm_removal(name: str, model: Model, version: Version, perform: Perform) -> None:
    st.markdown(
        f"**{notices.plain(name)}** will answer nothing more, and requests that it still has are lost. "
        "Its archive stays in the model store."
    )
    with st.container(horizontal=True):
        if st.button("Yes, unregister", type="primary"):
            perform(f"{name} is unregistered.", lambda it: it.unregister(model.name, version.version))
        if st.button("Keep it"):
            st.rerun()


def _version(models: Sequence[Model], key: str) -> tuple[str, Model, Version] | None:
    """The version that is chosen: what to call it, its model, itself."""
    found = {f"{model.name} {version.version}": (model, version) for model in models for version in model.versions}
    if not found:
        st.caption("No model is registered.")
        return None
    name = st.selectbox("Version", list(found), key=f"{key}-version")
    return name, *found[name]


def _archive(key: str, is_wanted: Callable[[Archive], bool]) -> str:
    """The file name of an archive, chosen among those wanted where the page can see the store."""
    store = session.settings().model_store
    if store is None:
        return st.text_input(
            "Archive", key=key, placeholder="yolov5s-2.0.mar", help="A file in the model store."
        ).strip()
    found = {each.file: each for each in list_archives(store) if is_wanted(each)}
    if not found:
        st.caption("The model store has no archive for this. `scripts/archive ... --version 2.0` writes one.")
        return ""
    labels = {
        file: f"{file} ({each.model} {each.version}, {each.size_bytes / 1e6:.1f} MB)" for file, each in found.items()
    }
    return st.selectbox("Archive", list(found), format_func=lambda file: labels[file], key=key)


def _watch_swap() -> None:
    last = exchanges().last
    if last:
        _show_swap(last)
    if last and not last.running:
        forget()
        st.rerun()


def _show_swap(exchange: Exchange) -> None:
    title = f"{exchange.model} for {exchange.archive}"
    if exchange.running:
        st.markdown(f"**Swapping {notices.plain(title)} ...**")
    elif exchange.failure:
        notices.tell(explain(exchange.failure))
    else:
        st.success(f"Swapped {notices.plain(title)}.", icon=":material/check:")
    st.markdown("  \n".join(_line(step) for step in exchange.steps))


def _line(step: Step) -> str:
    return f"{MARKS[step.state]} {step.name}" + (f": {notices.plain(step.text)}" if step.text else "")
