"""The widgets for the model and the options of a detection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from page import session
from page.answer_cache import DetectionRequest
from page.status import EMPTY_CARD, Status, model_card
from results.simulation import CLASS_NAMES, MODEL
from service.records import ModelCard, State

STATE_LABELS: Mapping[State, str] = {
    "ready": "ready",
    "starting": "starting",
    "unloaded": "not loaded",
    "failed": "no running worker",
}
DEFAULTS: dict[str, Any] = {"confidence": 0.25, "iou": 0.45, "max_detections": 1000}
SIMULATED_CARD = ModelCard("", "", MODEL, "0", "", CLASS_NAMES, DEFAULTS, 640, "", "", "", "")


@dataclass(frozen=True)
class ServedVersion:
    """A version of a model that can be chosen. `is_default`: requests without a version go to it."""

    model: str
    version: str
    state: State
    is_default: bool = True

    @property
    def name(self) -> str:
        """Model and version."""
        return f"{self.model} {self.version}"

    @property
    def label(self) -> str:
        """Model, version and state."""
        return f"{self.name} ({STATE_LABELS[self.state]})"

    def card(self) -> ModelCard:
        """Its metadata, or the last known in this session; EMPTY_CARD if they were never known."""
        if self.model == MODEL:
            return SIMULATED_CARD
        known = session.state().model_cards
        card = model_card(self.model, self.version) if self.state == "ready" else EMPTY_CARD
        if card is not EMPTY_CARD:
            known[self.name] = card
        return known.get(self.name, EMPTY_CARD)


SIMULATED_VERSION = ServedVersion(MODEL, "0", "ready")


def served_versions(status: Status) -> list[ServedVersion]:
    """All versions of all models: ready ones first, default versions before others.

    While the server does not answer, they are the last known ones, so that its answers stay on the page.
    """
    state = session.state()
    if status.alive:
        state.models = status.models
    versions = [
        ServedVersion(model.name, version.version, version.state, version.version == model.default_version)
        for model in state.models
        for version in model.versions
    ]
    return sorted(versions, key=lambda version: (version.state != "ready", version.model, not version.is_default))


def choose_version(status: Status) -> ServedVersion | None:
    """The version that the visitor has chosen, or None without a model."""
    versions = served_versions(status)
    if not versions:
        return None
    state = session.state()
    index = next((index for index, version in enumerate(versions) if version.name == state.chosen_model), 0)
    # One widget for each list of versions. The choice is restored by its name, whatever the version's state is now.
    key = f"model of {[version.label for version in versions]}"
    chosen = st.selectbox("Model", versions, index, format_func=lambda version: version.label, key=key)
    state.chosen_model = chosen.name
    return chosen


def choose_options(inference_url: str, chosen: ServedVersion, card: ModelCard) -> tuple[DetectionRequest, float]:
    """The request to send, and the confidence above which detections are shown.

    The request has the model's own threshold, or the slider's if that is lower.
    """
    defaults = _defaults(card)
    confidence = st.slider(
        "Confidence", 0.01, 0.99, max(0.01, defaults["confidence"]), 0.01, key=_key(chosen, card, "confidence"),
        persist_state="session",
        help="Shows detections with a confidence above this. Raising it sends no new request.",
    )  # fmt: skip
    with st.expander("More options"):
        values = _choose_more(chosen, card, defaults)
    options = tuple((name, value) for name, value in values.items() if value != defaults.get(name))
    threshold = min(confidence, float(defaults["confidence"]))
    return DetectionRequest(inference_url, chosen.model, chosen.version, options, threshold), confidence


def request_options(request: DetectionRequest, card: ModelCard) -> dict[str, Any]:
    """The options to send: those that differ from the model's defaults."""
    options: dict[str, Any] = dict(request.options)
    if request.confidence != _defaults(card)["confidence"]:
        options["confidence"] = request.confidence
    return options


def _defaults(card: ModelCard) -> dict[str, Any]:
    return {**DEFAULTS, **card.defaults, "image_size": card.image_size, "classes": ()}


def _choose_more(chosen: ServedVersion, card: ModelCard, defaults: dict[str, Any]) -> dict[str, Any]:
    iou = st.slider(
        "IoU", 0.05, 0.95, float(defaults["iou"]), 0.05, key=_key(chosen, card, "iou"), persist_state="session",
        help="Of two boxes of one class with a higher IoU than this, only the more confident one is kept.",
    )  # fmt: skip
    classes = st.multiselect(
        "Classes", card.classes, key=_key(chosen, card, "classes"), placeholder="All classes", persist_state="session"
    )
    max_detections = st.number_input(
        "At most", 1, 1000, int(defaults["max_detections"]), key=_key(chosen, card, "max_detections"),
        persist_state="session", help="The maximum number of detections per picture.",
    )  # fmt: skip
    sizes = sorted({*range(160, 1281, 32), card.image_size})
    image_size = st.select_slider(
        "Image size", sizes, card.image_size, key=_key(chosen, card, "image_size"), persist_state="session",
        help="The longer side of the picture in pixels, as the network gets it. Larger finds smaller objects and takes "
        "longer.",
    )  # fmt: skip
    return {
        "iou": iou,
        "classes": tuple(classes),
        "max_detections": int(max_detections),
        "image_size": image_size,
    }


def _key(chosen: ServedVersion, card: ModelCard, name: str) -> str:
    """Each version has its own defaults, so it has its own widgets, and others until its defaults are known."""
    return f"{name} of {chosen.name}" + ("" if card.model else ", unknown yet")
