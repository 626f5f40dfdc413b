"""The page Compare: the answers of several models to one picture, side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import streamlit as st

from page import answer_view, model_options, notices, picture_sources, session
from page.answer_cache import DetectionRequest
from page.model_options import DEFAULTS, ServedVersion
from page.picture import Picture
from page.status import Status, status
from results import tables
from results.decode import InvalidPicture
from results.exports import PictureAnswer
from results.filtering import above_confidence
from results.matching import Match, match
from service.answers import Answer, Detection

MAX_MODELS = 4  # side by side; with more the pictures would be too small
EVERYTHING, DIFFERENCES = "All boxes", "Only differences"


def main() -> None:
    """The choices above, the models' answers side by side below."""
    st.title("Compare")
    if session.is_test_mode():
        st.info("Test mode has one simulated model: turn it off in the sidebar to compare the server's models.")
        return
    now = status()
    left, right = st.columns([2, 3], gap="large")
    with left:
        pictures = picture_sources.choose_pictures(several=False)
    with right:
        if now.error:
            notices.show_error_with_retry(now.error, key="status")
        chosen = choose_models(now)
        confidence = st.slider("Confidence", 0.01, 0.99, 0.25, 0.01, key="compare confidence", persist_state="session")
        iou = st.slider(
            "Same object from this IoU", 0.1, 0.9, 0.5, 0.05, key="compare iou", persist_state="session",
            help="Boxes of two models are one object if they have the same class and at least this IoU.",
        )  # fmt: skip
        show = st.segmented_control("Show", [EVERYTHING, DIFFERENCES], default=EVERYTHING, required=True)
    if not pictures:
        picture_sources.offer_sample("**No picture yet.** Drop one in the field: it is sent to each model at once.")
    elif len(chosen) < 2:
        st.info("Choose two models or more to see the objects that one finds and another misses.")
    else:
        compare(pictures[0], chosen, confidence, iou, only_differences=show == DIFFERENCES)


def choose_models(now: Status) -> list[ServedVersion]:
    """The ready models that the visitor has chosen."""
    ready = [version for version in model_options.served_versions(now) if version.state == "ready"]
    if now.alive and len(ready) < 2:
        st.info(f"The server has {len(ready)} ready of the two models that this needs; scripts/up --models adds more.")
    names = [version.name for version in ready]
    state = session.state()
    before = [name for name in state.compared_models if name in names]
    key = f"models of {names}"
    state.compared_models = st.multiselect(
        "Models", names, before or names[:2], max_selections=MAX_MODELS, key=key, placeholder="Choose models"
    )
    return [version for version in ready if version.name in state.compared_models]


def compare(
    picture: Picture, chosen: Sequence[ServedVersion], confidence: float, iou: float, only_differences: bool
) -> None:
    """Send the picture to all models at the same time and show their answers side by side."""
    outcomes = detect_with_all(picture, chosen, confidence)
    answers = [above_confidence(outcome, confidence) for outcome in outcomes if isinstance(outcome, Answer)]
    answered = [version for version, outcome in zip(chosen, outcomes, strict=True) if isinstance(outcome, Answer)]
    matches = match([answer.detections for answer in answers], iou)
    for column, version, outcome in zip(st.columns(len(chosen), gap="medium"), chosen, outcomes, strict=True):
        with column:
            st.header(notices.escape_markdown(version.name))
            if isinstance(outcome, Exception):
                notices.show_error_with_retry(outcome, key=f"compare {version.name}", state=version.state)
                continue
            index = answered.index(version)
            boxes = not_found_by_all(matches, index) if only_differences else None
            show_answer(PictureAnswer(picture.name, picture.data, answers[index]), boxes)
    if len(answers) > 1:
        show_differences(matches, [version.name for version in answered])


def detect_with_all(picture: Picture, chosen: Sequence[ServedVersion], confidence: float) -> list[Answer | Exception]:
    """The outcome of each model. Known outcomes are not requested again."""
    cache, client, inference_url = session.state().answers, session.client(), session.addresses().inference
    threshold = min(confidence, DEFAULTS["confidence"])

    def detect(version: ServedVersion) -> Answer | Exception:
        request = DetectionRequest(inference_url, version.model, version.version, (), threshold)
        known = cache.get(picture, request)
        if known is not None:
            return known
        number = None if version.is_default else version.version
        try:
            outcome: Answer | Exception = client.detect(version.model, picture.data, number, confidence=threshold)
        except Exception as error:  # any error is this model's own; the others still answer
            outcome = error
        cache.add(picture, request, outcome)
        return outcome

    with st.spinner("Detecting"), ThreadPoolExecutor(MAX_MODELS) as threads:
        outcomes = threads.map(detect, chosen)
        with contextlib.suppress(InvalidPicture):  # the server's error is the better message
            answer_view.opened_picture(picture)
        return list(outcomes)


def not_found_by_all(matches: Sequence[Match], model: int) -> list[Detection]:
    """A model's detections of the objects that another model missed."""
    return [member for each in matches if not each.found_by_all and (member := each.members[model])]


def show_answer(shown: PictureAnswer, boxes: Sequence[Detection] | None) -> None:
    """A model's answer, drawn with its own boxes or with `boxes`."""
    answer_view.show_picture(shown, boxes)
    answer_view.show_summary(shown.answer)
    if shown.answer.detections:
        st.html(tables.class_counts(shown.answer))


def show_differences(matches: Sequence[Match], names: Sequence[str]) -> None:
    """How many objects all models found, and a table of the others."""
    by_all = sum(each.found_by_all for each in matches)
    others = [each for each in matches if not each.found_by_all]
    st.header("Differences")
    st.markdown(f"**{answer_view.with_noun(by_all, 'object', 'objects')} found by all**, {len(others)} not by all.")
    for index, name in enumerate(names):
        alone = sum(each.finders == (index,) for each in matches)
        missed = sum(each.members[index] is None for each in matches)
        st.markdown(f"- {notices.escape_markdown(name)}: {alone} found by no other, {missed} missed")
    if others:
        rows = [[tables.class_cell(first_detection(each)), *map(confidence_cell, each.members)] for each in others]
        st.html(tables.table("Not found by all", ["Class", *names], rows, numbers=range(1, len(names) + 1)))


def first_detection(found: Match) -> Detection:
    """The first of an object's detections."""
    return next(member for member in found.members if member)


def confidence_cell(member: Detection | None) -> str:
    """A model's confidence in an object."""
    return f"{member.confidence:.3f}" if member else "missed"


main()
