"""The forms of an operator's actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from page import notices, session
from page.answer_view import with_noun
from page.password import NotPermitted
from page.picture_sources import SAMPLE
from page.status import refresh
from page.swap_job import SwapJob, SwapJobs
from service.archives import Archive, list_archives
from service.operator import MAX_WORKERS, InvalidAction, Operator
from service.records import Model, Version
from service.swap import Step, hot_swap

Perform = Callable[[str, Callable[[Operator], None]], None]
STEP_ICONS = {
    "running": ":material/hourglass_top:",
    "done": ":green[:material/check:]",
    "failed": ":red[:material/close:]",
}
POLL_SECONDS = 0.5  # between two reads of a swap's state


def operator() -> Operator:
    """The operator of the current service. Each change checks this session's permit at the gate."""
    gate, permit = session.gate(), session.state().permit
    return Operator(session.client(), lambda: gate.require(permit))


@st.cache_resource
def swap_jobs() -> SwapJobs:
    """The swaps of this process."""
    return SwapJobs()


def workers(models: Sequence[Model], perform: Perform) -> None:
    """Scale, load and unload."""
    chosen = _choose_version(models, "workers")
    if chosen is None:
        return
    name, model, version = chosen
    count = st.number_input(
        "Workers", 1, MAX_WORKERS, max(1, version.min_workers), key=f"count-{name}-{version.min_workers}", width=200,
        help="Each is a process with its own copy of the network. When a worker is removed, its current requests may "
        "fail.",
    )  # fmt: skip
    with st.container(horizontal=True):
        if version.state == "unloaded":
            if st.button("Load", icon=":material/play_arrow:", type="primary"):
                perform(f"{name} is loaded.", lambda it: it.load(model.name, version.version, int(count)))
            return
        if st.button("Scale", icon=":material/tune:", type="primary"):
            perform(
                f"{name} has {with_noun(int(count), 'worker', 'workers')}.",
                lambda it: it.scale(model.name, version.version, int(count)),
            )
        if st.button("Unload", icon=":material/stop:"):
            perform(
                f"{name} is unloaded. It stays registered and answers 503.",
                lambda it: it.unload(model.name, version.version),
            )


def swap(models: Sequence[Model]) -> None:
    """Replace a model's default version by an archive."""
    st.caption(
        "Registers the archive beside the current version, tries a picture, makes it the default, waits until the "
        "old version has answered all its requests, and removes it. If a step fails, the old version serves as before. "
        "No request is lost."
    )
    last = swap_jobs().last
    if last and last.running:
        st.fragment(_watch_swap, run_every=POLL_SECONDS)()
        return
    if last:
        _show_swap(last)
    model = st.selectbox("Model", models, format_func=lambda model: model.name, key="swap-model")
    if model is None:
        return
    registered = {version.version for version in model.versions}
    archive = _choose_archive(
        "swap-archive", lambda archive: archive.model == model.name and archive.version not in registered
    )
    if st.button("Swap", icon=":material/swap_horiz:", type="primary", disabled=not archive):
        _start_swap(model.name, archive)


def _start_swap(model: str, archive: str) -> None:
    try:
        session.require_operator()
        swap_jobs().start(model, archive, hot_swap(operator(), model, archive, SAMPLE.read_bytes()))
    except (InvalidAction, NotPermitted) as error:
        notices.show_error(error)
    else:
        session.state().action_outcome = None
        st.rerun()


def register(perform: Perform) -> None:
    """Register an archive of the model store."""
    archive = _choose_archive("register-archive", lambda _: True)
    count = st.number_input("Workers", 0, MAX_WORKERS, 1, key="register-workers", width=200)
    if st.button("Register", icon=":material/add:", type="primary", disabled=not archive):
        perform(f"{archive} is registered.", lambda it: it.register(archive, workers=int(count)))


def default_and_removal(models: Sequence[Model], perform: Perform) -> None:
    """Choose the default version, and unregister a version."""
    chosen = _choose_version(models, "removal")
    if chosen is None:
        return
    name, model, version = chosen
    is_default = version.version == model.default_version
    with st.container(horizontal=True):
        if st.button("Make default", icon=":material/star:", disabled=is_default):
            perform(f"{name} is the default.", lambda it: it.set_default(model.name, version.version))
        if st.button("Unregister", icon=":material/delete:", disabled=is_default and len(model.versions) > 1):
            _confirm_removal(name, model, version, perform)
    if is_default and len(model.versions) > 1:
        st.caption("The default version cannot be unregistered while there are others: make another one the default.")


@st.dialog("Unregister this version?")
def _confirm_removal(name: str, model: Model, version: Version, perform: Perform) -> None:
    st.markdown(
        f"**{notices.escape_markdown(name)}** will answer no more requests, and its current requests are lost. "
        "Its archive stays in the model store."
    )
    with st.container(horizontal=True):
        if st.button("Yes, unregister", type="primary"):
            perform(f"{name} is unregistered.", lambda it: it.unregister(model.name, version.version))
        if st.button("Keep it"):
            st.rerun()


def _choose_version(models: Sequence[Model], key: str) -> tuple[str, Model, Version] | None:
    """The chosen version: model and version as a text, the model, and the version."""
    versions = {f"{model.name} {version.version}": (model, version) for model in models for version in model.versions}
    if not versions:
        st.caption("No model is registered.")
        return None
    name = st.selectbox("Version", list(versions), key=f"{key}-version")
    return name, *versions[name]


def _choose_archive(key: str, is_suitable: Callable[[Archive], bool]) -> str:
    """The file name of a suitable archive of the store; free text if the page has no access to the store."""
    store = session.settings().model_store
    if store is None:
        return st.text_input(
            "Archive", key=key, placeholder="yolov5s-2.0.mar", help="A file in the model store."
        ).strip()
    archives = {archive.file: archive for archive in list_archives(store) if is_suitable(archive)}
    if not archives:
        st.caption("The model store has no suitable archive. `scripts/archive ... --version 2.0` writes one.")
        return ""
    labels = {
        file: f"{file} ({archive.model} {archive.version}, {archive.size_bytes / 1e6:.1f} MB)"
        for file, archive in archives.items()
    }
    return st.selectbox("Archive", list(archives), format_func=lambda file: labels[file], key=key)


def _watch_swap() -> None:
    last = swap_jobs().last
    if last:
        _show_swap(last)
    if last and not last.running:
        refresh()
        st.rerun()


def _show_swap(job: SwapJob) -> None:
    title = notices.escape_markdown(f"{job.model} for {job.archive}")
    if job.running:
        st.markdown(f"**Swapping {title} ...**")
    elif job.failure:
        notices.show_error(job.failure)
    else:
        st.success(f"Swapped {title}.", icon=":material/check:")
    st.markdown("  \n".join(_step_line(step) for step in job.steps))


def _step_line(step: Step) -> str:
    return f"{STEP_ICONS[step.state]} {step.name}" + (f": {notices.escape_markdown(step.text)}" if step.text else "")
