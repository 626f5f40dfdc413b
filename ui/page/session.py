"""The state of one visitor's session, and the service that the session uses.

Everything that the page keeps between reruns is in one object, except the values of widgets, which Streamlit keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from page.answer_cache import AnswerCache
from page.jobs import DetectionJob
from page.password import Gate, NotPermitted, Permit
from page.picture import Picture
from page.settings import Settings
from service.client import Client
from service.metrics import History
from service.records import Model, ModelCard

KEY = "session"  # in st.session_state
TEST_MODE_KEY = "test_mode"  # of the switch in the sidebar


@dataclass(frozen=True)
class Addresses:
    """The base URLs of a service's three APIs."""

    inference: str
    management: str
    metrics: str

    @classmethod
    def of(cls, settings: Settings) -> Addresses:
        """The addresses of the page's own service."""
        return cls(settings.inference_url, settings.management_url, settings.metrics_url)


@dataclass(frozen=True)
class ActionOutcome:
    """The outcome of an operator's action: its error, or None and the message of success."""

    success: str
    error: Exception | None


# What the sidebar watches: whether the server answers, and the models with their default versions, versions and states.
ServerSummary = tuple[bool, tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]]


@dataclass
class Session:
    """The state of one visitor's session."""

    # The visitor's choices.
    picture_source: str | None = None
    pictures: list[Picture] = field(default_factory=list)
    chosen_model: str = ""
    compared_models: list[str] = field(default_factory=list)
    # Detection. `stopped`: the visitor has stopped the job.
    answers: AnswerCache = field(default_factory=AnswerCache)
    job: DetectionJob | None = None
    stopped: bool = False
    # The last known state of the service; the page shows it while the service does not answer.
    models: tuple[Model, ...] = ()
    model_cards: dict[str, ModelCard] = field(default_factory=dict)
    summary: ServerSummary | None = None
    histories: dict[str, History] = field(default_factory=dict)  # by metrics URL
    # Operator actions.
    permit: Permit | None = None
    addresses: Addresses | None = None
    action_outcome: ActionOutcome | None = None


def state() -> Session:
    """The state of this visitor's session."""
    if KEY not in st.session_state:
        st.session_state[KEY] = Session()
    current: Session = st.session_state[KEY]
    return current


@st.cache_resource
def settings() -> Settings:
    """The page's settings. Raises SettingsError."""
    return Settings.from_environment()


def addresses() -> Addresses:
    """The current addresses: those of the settings, unless an operator has changed them for this session."""
    return state().addresses or Addresses.of(settings())


def use_addresses(addresses: Addresses | None) -> None:
    """Use another service from now on; None: that of the settings. Raises NotPermitted for all but operators."""
    require_operator()
    state().addresses = addresses


def client() -> Client:
    """The client of the current service. Tokens are sent to the service of the settings only."""
    return client_of(addresses())


@st.cache_resource(max_entries=20)
def client_of(of: Addresses) -> Client:
    """A client, with the key file if the addresses are exactly those of the settings."""
    key_file = settings().key_file if of == Addresses.of(settings()) else None
    return Client(of.inference, of.management, key_file)


def is_test_mode() -> bool:
    """Whether answers are simulated, without a server."""
    return bool(st.session_state.get(TEST_MODE_KEY))


@st.cache_resource
def gate() -> Gate:
    """The gate for operators, one for the whole process."""
    return Gate(settings().operator_password)


def require_operator() -> None:
    """Raises NotPermitted unless this visitor has unlocked the gate in this session and has not locked it again."""
    gate().require(state().permit)


def is_operator() -> bool:
    """Whether this visitor may change the service."""
    try:
        require_operator()
    except NotPermitted:
        return False
    return True
