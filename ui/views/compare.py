"""Compare: one picture through several models side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import streamlit as st

from page import answer_view, model_options, notices, picture_sources, session
from page.jobs import Asked, Key, Picture, Question, key_of, missing
from page.model_options import DEFAULTS, Choice
from page.status import Status, status
from results import tables
from results.decode import InvalidPicture
from results.exports import Shown
from results.filtering import above
from results.matching import Match, match
from service.client import Answer, Detection

MOST = 4  # models side by side: more would be too small to see
EVERYTHING, DIFFERENCES = "All boxes", "Only differences"


def main() -> None:
    """Choices above, the models' answers side by side below."""
    st.title("Compare")
    if session.is_test_mode():
        st.info("Test mode has one simulated model: turn it off in the sidebar to compare the server's models.")
        return
    now = status()
    left, right = st.columns([2, 3], gap="large")
    with left:
        pictures = picture_sources.choose(several=False)
    with right:
        if now.error:
            notices.show(now.error, key="status")
        chosen = models_of(now)
        confidence = st.slider("Confidence", 0.01, 0.99, 0.25, 0.01, key="compare confidence", persist_state="session")
        overlap = st.slider(
            "Same object from this overlap (IoU)", 0.1, 0.9, 0.5, 0.05, key="compare iou", persist_state="session",
            help="Boxes of two models are one object if they have the same class and overlap at least this much.",
        )  # fmt: skip
        show = st.segmented_control("Show", [EVERYTHING, DIFFERENCES], default=EVERYTHING, required=True)
    if not pictures:
        nothing_yet()
    elif len(chosen) < 2:
        st.info("Choose two models or more to see what one finds and another does not.")
    else:
        compare(pictures[0], chosen, confidence, overlap, only_differences=show == DIFFERENCES)


def models_of(now: Status) -> list[Choice]:
    """Two models or more, of those that are ready."""
    found = [choice for choice in model_options.choices_of(now) if choice.state == "ready"]
    if now.alive and len(found) < 2:
        st.info(f"The server has {len(found)} ready of the two models that this needs; scripts/up --models adds more.")
    names = [choice.name for choice in found]
    before = [name for name in session.kept("compared", []) if name in names]
    picked = st.multiselect(
        "Models", names, before or names[:2], max_selections=MOST, key=f"models of {names}", placeholder="Choose models"
    )
    st.session_state["compared"] = picked
    return [choice for choice in found if choice.name in picked]


def nothing_yet() -> None:
    """What to do where there is no picture."""
    picture_sources.offer_sample("**No picture yet.** Drop one in the field; each model is asked at once.")


def compare(
    picture: Picture, chosen: Sequence[Choice], confidence: float, overlap: float, only_differences: bool
) -> None:
    """Ask all models at the same time and show their answers beside each other."""
    outcomes = ask_all(picture, chosen, confidence)
    answers = [above(each, confidence) for each in outcomes if isinstance(each, Answer)]
    found = match([answer.detections for answer in answers], overlap)
    answered = [choice for choice, each in zip(chosen, outcomes, strict=True) if isinstance(each, Answer)]
    columns = st.columns(len(chosen), gap="medium")
    for column, choice, outcome in zip(columns, chosen, outcomes, strict=True):
        with column:
            st.header(notices.plain(choice.name))
            if isinstance(outcome, Answer):
                answer = answers[answered.index(choice)]
                alone = differing(found, answered.index(choice)) if only_differences else None
                shown = Shown(picture.name, picture.data, answer)
                answer_view.picture(shown, alone)
                answer_view.numbers(answer)
                if answer.detections:
                    st.html(tables.counts(answer))
            else:
                notices.show(outcome, key=f"compare {choice.name}", state=choice.state)
    if len(answers) > 1:
        differences(found, [choice.name for choice in answered])


def ask_all(picture: Picture, chosen: Sequence[Choice], confidence: float) -> list[Answer | Exception]:
    """Each model's answer or error; what is known already is not asked again."""
    memory, client, service = notices.answers(), session.client(), session.addresses().inference

    def ask(choice: Choice, question: Question) -> Asked:
        options = {"confidence": question.confidence}
        try:
            version = None if choice.is_default else choice.version
            return Asked(question.confidence, client.detect(choice.model, picture.data, version, **options))
        except Exception as error:  # it is this model's; the others go on
            return Asked(question.confidence, error)

    questions = [
        Question(service, choice.model, choice.version, (), min(confidence, DEFAULTS["confidence"]))
        for choice in chosen
    ]
    keys: list[Key] = [key_of(picture, question) for question in questions]
    with st.spinner("Asking the models"), ThreadPoolExecutor(MOST) as threads:
        open_ones = [index for index, question in enumerate(questions) if missing([picture], question, memory)]
        under_way = {index: threads.submit(ask, chosen[index], questions[index]) for index in open_ones}
        with contextlib.suppress(InvalidPicture):  # the servers say better what is wrong with it
            answer_view.opened_picture(picture)
        for index, future in under_way.items():
            memory[keys[index]] = future.result()
    return [memory[key].outcome for key in keys]


def differing(found: Sequence[Match], model: int) -> list[Detection]:
    """What a model found and another one did not."""
    return [member for each in found if not each.found_by_all and (member := each.members[model])]


def differences(found: Sequence[Match], names: Sequence[str]) -> None:
    """What all found, and a table of what some did not."""
    common = sum(each.found_by_all for each in found)
    st.header("Differences")
    rest = [each for each in found if not each.found_by_all]
    st.markdown(f"**{answer_view.counted(common, 'object', 'objects')} found by all**, {len(rest)} not by all.")
    for index, name in enumerate(names):
        alone = sum(each.finders == (index,) for each in found)
        missed = sum(each.members[index] is None for each in found)
        st.markdown(f"- {notices.plain(name)}: {alone} found by no other, {missed} missed")
    if rest:
        rows = [[tables.classed(named(each)), *(cell(member) for member in each.members)] for each in rest]
        st.html(tables.table("Not found by all", ["Class", *names], rows, numbers=range(1, len(names) + 1)))


def named(found: Match) -> Detection:
    """One of the detections of an object."""
    return next(member for member in found.members if member)


def cell(member: Detection | None) -> str:
    """A model's confidence in an object."""
    return f"{member.confidence:.3f}" if member else "missed"


main()
