"""The page Detect: pictures in; boxes, tables and files out."""

from __future__ import annotations

import contextlib

import streamlit as st

from page import answer_view, model_options, notices, picture_sources, session
from page.answer_cache import DetectionRequest
from page.jobs import DetectionJob
from page.model_options import ServedVersion
from page.picture import Picture
from page.status import Status, status
from results.decode import InvalidPicture
from results.exports import PictureAnswer
from results.filtering import above_confidence
from results.simulation import simulate
from service.answers import Answer
from service.records import ModelCard, State

ICON = ":material/center_focus_strong:"
POLL_SECONDS = 0.3  # between two updates of the progress bar


def main() -> None:
    """The choices on the left, the results on the right."""
    st.title("Detect")
    notices.show_test_mode()
    left, right = st.columns([1, 2], gap="large")
    with left:
        pictures = picture_sources.choose_pictures(several=True)
        now = None if session.is_test_mode() else status()
        chosen = model_options.SIMULATED_VERSION if now is None else model_options.choose_version(now)
        if chosen:
            card = chosen.card()
            request, confidence = model_options.choose_options(session.addresses().inference, chosen, card)
            clicked = st.button("Detect", type="primary", disabled=not pictures, icon=ICON, width="stretch")
    with right:
        if now and now.error:
            notices.show_error_with_retry(now.error, key="status")
        if chosen is None:
            show_no_model(now)
        elif not pictures:
            picture_sources.offer_sample(
                "**No picture yet.** Drop one or many in the field: they are sent to the server at once."
            )
        else:
            if clicked:
                restart(pictures, request)
            detect(pictures, request, chosen, card, confidence)


def show_no_model(now: Status | None) -> None:
    """What to do without a model."""
    if now is None or now.alive:
        st.info("The server has no model. An operator can register one on the page Models, from the model store.")


def restart(pictures: list[Picture], request: DetectionRequest) -> None:
    """Send the pictures without an answer, or all of them if each has one."""
    state = session.state()
    state.stopped = False
    state.answers.drop_failures()
    if not state.answers.unanswered(pictures, request):
        state.answers.drop(pictures, request)


def detect(
    pictures: list[Picture], request: DetectionRequest, chosen: ServedVersion, card: ModelCard, confidence: float
) -> None:
    """Send the pictures without an answer, and show the answers."""
    state = session.state()
    unanswered = state.answers.unanswered(pictures, request)
    if unanswered and not state.stopped:
        job = job_for(unanswered, request, chosen, card)
        if len(unanswered) > 1 and not job.done:
            st.fragment(show_progress, run_every=POLL_SECONDS)(job)
            return
        wait_for_picture(unanswered[0], job)
    show_outcomes(pictures, request, chosen.state, card, confidence)


def job_for(pictures: list[Picture], request: DetectionRequest, chosen: ServedVersion, card: ModelCard) -> DetectionJob:
    """The running job for these pictures, or a new one."""
    state = session.state()
    if state.job and state.job.will_answer(pictures, request):
        return state.job
    if state.job:
        state.job.stop()
    client, options = session.client(), model_options.request_options(request, card)
    version = None if chosen.is_default else chosen.version

    def send(picture: Picture) -> Answer:
        if chosen is model_options.SIMULATED_VERSION:
            return simulate(picture.data, request.confidence)
        return client.detect(chosen.model, picture.data, version, **options)

    state.job = DetectionJob(pictures, request, state.answers, send).start()
    return state.job


def wait_for_picture(picture: Picture, job: DetectionJob) -> None:
    """Wait for the answer to one picture, and decode the picture for the screen meanwhile."""
    with st.spinner("Detecting"):
        with contextlib.suppress(InvalidPicture):  # the server's error is the better message
            answer_view.opened_picture(picture)
        job.wait()


def show_progress(job: DetectionJob) -> None:
    """The progress of a job, with a button that stops it."""
    st.progress(job.answered / job.total, f"{job.answered} of {job.total} pictures")
    if st.button("Stop", icon=":material/stop_circle:", key="stop"):
        job.stop()
        session.state().stopped = True
        st.rerun()
    if job.done:
        st.rerun()


def show_outcomes(
    pictures: list[Picture], request: DetectionRequest, state: State, card: ModelCard, confidence: float
) -> None:
    """The errors of pictures, and the answer to one of the others."""
    cache = session.state().answers
    answers: list[PictureAnswer] = []
    failures: list[tuple[Picture, Exception]] = []
    for picture in pictures:
        outcome = cache.get(picture, request)
        if isinstance(outcome, Exception):
            failures.append((picture, outcome))
        elif outcome:
            answers.append(PictureAnswer(picture.name, picture.data, above_confidence(outcome, confidence)))
    not_sent = len(pictures) - len(answers) - len(failures)
    if not_sent:
        text = f"Stopped: {not_sent} of {len(pictures)} pictures were not sent. The button Detect sends them."
        st.warning(text, icon=":material/stop_circle:")
    for number, (picture, error) in enumerate(failures):
        if len(pictures) > 1:
            st.markdown(f"**{notices.escape_markdown(picture.name)}**")
        notices.show_error_with_retry(error, key=f"picture-{number}", state=state)
    if answers:
        show_answers(answers, card, confidence)


def show_answers(answers: list[PictureAnswer], card: ModelCard, confidence: float) -> None:
    """The answer to the picture that the visitor has chosen, with its downloads."""
    current = answers[0]
    if len(answers) > 1:
        counts = [answer_view.with_noun(len(each.answer.detections), "object", "objects") for each in answers]
        total = answer_view.with_noun(sum(len(each.answer.detections) for each in answers), "object", "objects")
        st.markdown(f"**{len(answers)} pictures, {total}**")
        labels = [f"{each.name} ({count})" for each, count in zip(answers, counts, strict=True)]
        current = answers[st.selectbox("Picture", range(len(answers)), format_func=labels.__getitem__)]
    answer_view.show_picture(current)
    answer_view.show_summary(current.answer)
    answer_view.show_downloads(current, answers, card.classes)
    answer_view.show_details(current, confidence)


main()
