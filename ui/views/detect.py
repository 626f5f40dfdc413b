"""Detect: pictures in, boxes, tables and files out."""

from __future__ import annotations

import contextlib

import streamlit as st

from page import answer_view, model_options, notices, picture_sources, session
from page.jobs import Job, Key, Picture, Question, forget_failures, key_of, missing
from page.status import Status, status
from results.decode import InvalidPicture
from results.exports import Shown
from results.filtering import above
from results.simulation import simulate
from service.client import Answer
from service.records import Card, State

ICON = ":material/center_focus_strong:"
POLL = 0.3  # seconds between looks at pictures that are on their way


def main() -> None:
    """Choices on the left, what came of them on the right."""
    st.title("Detect")
    notices.test_mode()
    left, right = st.columns([1, 2], gap="large")
    with left:
        pictures = picture_sources.choose(several=True)
        now = None if session.is_test_mode() else status()
        chosen = model_options.SIMULATED if now is None else model_options.model(now)
        if chosen:
            about = chosen.card()
            asked, confidence = model_options.question(session.addresses().inference, chosen, about)
            again = st.button("Detect", type="primary", disabled=not pictures, icon=ICON, width="stretch")
    with right:
        if now and now.error:
            notices.show(now.error, key="status")
        if chosen is None:
            no_model(now)
        elif not pictures:
            nothing_yet()
        else:
            if again:
                start_again(pictures, asked)
            answered(pictures, asked, chosen, about, confidence)


def no_model(now: Status | None) -> None:
    """What to do where there is nothing to detect with."""
    if now is None or now.alive:
        st.info("The server has no model. An operator can register one on the page Models, from the model store.")


def nothing_yet() -> None:
    """What to do where there is no picture."""
    picture_sources.offer_sample(
        "**No picture yet.** Drop one or many in the field: they are sent to the server at once."
    )


def start_again(pictures: list[Picture], asked: Question) -> None:
    """Send what is not answered, or everything if all of it is."""
    st.session_state.pop("stopped", None)
    memory = notices.answers()
    forget_failures(memory)
    if not missing(pictures, asked, memory):
        for picture in pictures:
            memory.pop(key_of(picture, asked), None)


def answered(
    pictures: list[Picture], asked: Question, chosen: model_options.Choice, about: Card, confidence: float
) -> None:
    """Send what is not answered yet and show what is."""
    memory = notices.answers()
    open_ones = missing(pictures, asked, memory)
    if open_ones and not st.session_state.get("stopped"):
        job = job_for(open_ones, asked, chosen, about)
        if len(open_ones) > 1 and not job.done:
            st.fragment(progress, run_every=POLL)(job)
            return
        one_picture(open_ones[0], job)
    show_all(pictures, asked, chosen.state, about, confidence)


def job_for(pictures: list[Picture], asked: Question, chosen: model_options.Choice, about: Card) -> Job:
    """The job that is under way for these pictures, or a new one."""
    keys: tuple[Key, ...] = tuple(key_of(picture, asked) for picture in pictures)
    running: Job | None = st.session_state.get("job")
    if running and not running.done and set(keys) <= set(st.session_state["job keys"]) and running.question == asked:
        return running
    if running:
        running.stop()
    client, options = session.client(), model_options.request_options(asked, about)
    version = None if chosen.is_default else chosen.version

    def ask(picture: Picture) -> Answer:
        if chosen is model_options.SIMULATED:
            return simulate(picture.data, asked.confidence)
        return client.detect(chosen.model, picture.data, version, **options)

    st.session_state["job keys"] = keys
    st.session_state["job"] = job = Job(pictures, asked, notices.answers(), ask).start()
    return job


def one_picture(picture: Picture, job: Job) -> None:
    """Wait for a single picture; what the page needs to show it is made meanwhile."""
    with st.spinner("Detecting"):
        with contextlib.suppress(InvalidPicture):  # the server says better what is wrong with it
            answer_view.opened_picture(picture)
        job.wait()


def progress(job: Job) -> None:
    """How far a job is, with a button that stops it."""
    st.progress(job.answered / job.total, f"{job.answered} of {job.total} pictures")
    if st.button("Stop", icon=":material/stop_circle:", key="stop"):
        job.stop()
        st.session_state["stopped"] = True
        st.rerun()
    if job.done:
        st.rerun()


def show_all(pictures: list[Picture], asked: Question, state: State, about: Card, confidence: float) -> None:
    """The results of all pictures, of which one is looked at."""
    memory = notices.answers()
    shown: list[Shown] = []
    failed: list[tuple[Picture, Exception]] = []
    waiting = missing(pictures, asked, memory)
    for picture in pictures:
        known = memory.get(key_of(picture, asked))
        if picture in waiting or known is None:
            continue
        if isinstance(known.outcome, Exception):
            failed.append((picture, known.outcome))
        else:
            shown.append(Shown(picture.name, picture.data, above(known.outcome, confidence)))
    if waiting:
        text = f"Stopped: {len(waiting)} of {len(pictures)} pictures were not sent. Detect goes on with them."
        st.warning(text, icon=":material/stop_circle:")
    for number, (picture, error) in enumerate(failed):
        if len(pictures) > 1:
            st.markdown(f"**{notices.plain(picture.name)}**")
        notices.show(error, key=f"picture-{number}", state=state)
    if shown:
        results_of(shown, about, confidence)


def results_of(shown: list[Shown], about: Card, confidence: float) -> None:
    """One of the pictures with all that is known of it."""
    current = shown[0]
    if len(shown) > 1:
        total = sum(len(each.answer.detections) for each in shown)
        st.markdown(f"**{len(shown)} pictures, {answer_view.counted(total, 'object', 'objects')}**")
        label = {
            index: f"{each.name} ({answer_view.counted(len(each.answer.detections), 'object', 'objects')})"
            for index, each in enumerate(shown)
        }
        index = st.selectbox("Picture", range(len(shown)), format_func=label.__getitem__)
        current = shown[index]
    answer_view.picture(current)
    answer_view.numbers(current.answer)
    answer_view.downloads(current, shown, about.classes)
    answer_view.details(current, confidence)


main()
