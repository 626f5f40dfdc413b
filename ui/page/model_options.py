"""Widgets for the model and the options of a detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from page import session
from page.jobs import Question
from page.status import NO_CARD, Status, card
from results.simulation import CLASS_NAMES, MODEL
from service.records import Card, Model, State

WORDS = {"ready": "ready", "starting": "starting", "unloaded": "not loaded", "failed": "worker gone"}
DEFAULTS: dict[str, Any] = {"confidence": 0.25, "iou": 0.45, "max_detections": 1000}
SIMULATED_CARD = Card("", "", MODEL, "0", "", CLASS_NAMES, DEFAULTS, 640, "", "", "", "")


@dataclass(frozen=True)
class Choice:
    """A model's version. `is_default`: requests that name no version go to it."""

    model: str
    version: str
    state: State
    is_default: bool = True

    @property
    def label(self) -> str:
        """For a person."""
        return f"{self.model} {self.version} ({WORDS[self.state]})"

    @property
    def name(self) -> str:
        """Model and version."""
        return f"{self.model} {self.version}"

    def card(self) -> Card:
        """What it says of itself, or last said in this session; little, where it never did."""
        if self.model == MODEL:
            return SIMULATED_CARD
        known: dict[str, Card] = session.kept("cards", {})
        said = card(self.model, self.version) if self.state == "ready" else NO_CARD
        if said is not NO_CARD:
            known[self.name] = said
        return known.get(self.name, NO_CARD)


SIMULATED = Choice(MODEL, "0", "ready")


def choices_of(now: Status) -> list[Choice]:
    """All versions of all models; those that are ready first, default versions before others.

    While the server is away they are those it had, so that its answers stay on the page.
    """
    models: tuple[Model, ...] = now.models if now.alive else session.kept("models", ())
    st.session_state["models"] = models
    found = [
        Choice(model.name, version.version, version.state, version.version == model.default_version)
        for model in models
        for version in model.versions
    ]
    return sorted(found, key=lambda choice: (choice.state != "ready", choice.model, not choice.is_default))


def model(now: Status) -> Choice | None:
    """The model that is wanted, or None where there is none."""
    found = choices_of(now)
    if not found:
        return None
    remembered: str = st.session_state.get("model", "")
    index = next((index for index, choice in enumerate(found) if choice.name == remembered), 0)
    # A widget of its own for each list: what was chosen is found again by its name, whatever its state is by now.
    key = f"model of {[choice.label for choice in found]}"
    chosen = st.selectbox("Model", found, index, format_func=lambda choice: choice.label, key=key)
    st.session_state["model"] = chosen.name
    return chosen


def question(service: str, chosen: Choice, about: Card) -> tuple[Question, float]:
    """What to ask, and the confidence above which detections are shown.

    The service is asked at the model's own threshold, or at the slider's where that is lower.
    """
    default = _defaults(about)
    confidence = st.slider(
        "Confidence", 0.01, 0.99, max(0.01, default["confidence"]), 0.01, key=_key(chosen, about, "confidence"),
        persist_state="session",
        help="Shows detections that are more confident than this. Raising it does not ask the server again.",
    )  # fmt: skip
    with st.expander("More options"):
        wanted = _options(chosen, about, default)
    options = tuple((name, value) for name, value in wanted.items() if value != default.get(name))
    asked = min(confidence, float(default["confidence"]))
    return Question(service, chosen.model, chosen.version, options, asked), confidence


def request_options(asked: Question, about: Card) -> dict[str, Any]:
    """The options to send: those that are not the model's defaults anyway."""
    options: dict[str, Any] = dict(asked.options)
    if asked.confidence != _defaults(about)["confidence"]:
        options["confidence"] = asked.confidence
    return options


def _defaults(about: Card) -> dict[str, Any]:
    return {**DEFAULTS, **about.defaults, "image_size": about.image_size, "classes": ()}


def _options(chosen: Choice, about: Card, default: dict[str, Any]) -> dict[str, Any]:
    iou = st.slider(
        "IoU", 0.05, 0.95, float(default["iou"]), 0.05, key=_key(chosen, about, "iou"), persist_state="session",
        help="Of two boxes of a class that overlap by more than this, only the better stays.",
    )  # fmt: skip
    classes = st.multiselect(
        "Classes", about.classes, key=_key(chosen, about, "classes"), placeholder="All classes", persist_state="session"
    )
    most = st.number_input(
        "At most", 1, 1000, int(default["max_detections"]), key=_key(chosen, about, "most"), persist_state="session",
        help="Detections per picture.",
    )  # fmt: skip
    sizes = sorted({*range(160, 1281, 32), about.image_size})
    size = st.select_slider(
        "Image size", sizes, about.image_size, key=_key(chosen, about, "size"), persist_state="session",
        help="The longer side, in pixels, that the network sees. Larger finds smaller things and takes longer.",
    )  # fmt: skip
    return {"iou": iou, "classes": tuple(classes), "max_detections": int(most), "image_size": size}


def _key(chosen: Choice, about: Card, name: str) -> str:
    """Each model has its own defaults, so each has its own widgets; and others until its defaults are known."""
    return f"{name} of {chosen.name}" + ("" if about.model else ", unknown yet")
