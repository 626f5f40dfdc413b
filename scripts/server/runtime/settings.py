"""Where the service keeps its things and which ports it uses, from environment variables."""

from __future__ import annotations

import math
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from detection.cores import available_cores
from service import environment
from service.environment import SettingsError

ROOT = Path(__file__).resolve().parents[3]
YEAR_MINUTES = 525600
BATCH_SIZE = 4  # of model-config.yaml: a worker can use as many cores
LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104
SWITCH = ("false", "true")


@dataclass(frozen=True)
class Settings:
    """`run` holds what one running service needs: state, key file, logs.

    inference_host, management_host: addresses of this machine that the APIs listen at (metrics like management).
    operator: whether operators may register and unregister models: the page has a password for them.
    tokens: whether calls need one; token_minutes: how long one is good for.
    logs_to_console: whether logs go there instead of into files.
    """

    inference_host: str
    management_host: str
    inference_port: int
    management_port: int
    metrics_port: int
    ui_port: int
    workers_per_model: int
    token_minutes: int
    operator: bool
    tokens: bool
    logs_to_console: bool
    run: Path
    model_store: Path

    @classmethod
    def from_environment(cls) -> Settings:
        """Settings of the variables that README.md lists under "Running it". Raises SettingsError."""
        defaults = {"INFERENCE_PORT": 8080, "MANAGEMENT_PORT": 8081, "METRICS_PORT": 8082, "UI_PORT": 8501}
        ports = [_number(name, default, "a port", 65535) for name, default in defaults.items()]
        if len(set(ports)) < len(ports):
            raise SettingsError(f"{', '.join(defaults)} are {ports}; expected four ports")
        cores = available_cores()
        return cls(
            inference_host=_host("INFERENCE_HOST"),
            management_host=_host("MANAGEMENT_HOST"),
            inference_port=ports[0],
            management_port=ports[1],
            metrics_port=ports[2],
            ui_port=ports[3],
            workers_per_model=_number("WORKERS_PER_MODEL", default_workers(cores), "a number of workers", 64),
            token_minutes=_number("TOKEN_EXPIRATION_MIN", YEAR_MINUTES, "minutes", YEAR_MINUTES),
            operator=_has_operator(),
            tokens=_tokens(),
            logs_to_console=_choice("LOG_TO", ("files", "console")) == "console",
            run=Path(os.environ.get("RUN_DIR", ROOT / ".run")).resolve(),
            model_store=Path(os.environ.get("MODEL_STORE", ROOT / "model_store")).resolve(),
        )

    @property
    def inference_url(self) -> str:
        """Base address of the inference API."""
        return f"http://{_reachable(self.inference_host)}:{self.inference_port}"

    @property
    def management_url(self) -> str:
        """Base address of the management API."""
        return f"http://{_reachable(self.management_host)}:{self.management_port}"

    @property
    def metrics_url(self) -> str:
        """Base address of the metrics API."""
        return f"http://{_reachable(self.management_host)}:{self.metrics_port}"

    @property
    def ui_url(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def key_file(self) -> Path:
        """The tokens; TorchServe writes them into its working directory."""
        return self.run / "key_file.json"

    @property
    def log(self) -> Path:
        """What the server and its workers have to say."""
        return self.run / "logs" / "server.log"


def default_workers(cores: int) -> int:
    """As many workers as can keep the cores busy, and one more, which receives its batch meanwhile."""
    return math.ceil(cores / BATCH_SIZE) + 1


def _has_operator() -> bool:
    """Whether the page has an operator's password, or operators are allowed without the page."""
    # The page reads these two itself, after the models are up. An unusable value should end the start before that.
    environment.switch(os.environ, "UI_ALLOW_URLS")
    password = environment.secret(os.environ, "UI_OPERATOR_PASSWORD")
    return _choice("ENABLE_MODEL_API", SWITCH) == "true" or password is not None


def _reachable(host: str) -> str:
    """Where something that listens at `host` is reached from this machine."""
    return LOOPBACK if host == EVERYWHERE else host


def _host(name: str) -> str:
    """An IPv4 address of this machine, given as that or by a name."""
    text = os.environ.get(name) or LOOPBACK
    try:
        return socket.gethostbyname(text)
    except (OSError, UnicodeError):
        raise SettingsError(
            f"{name} is {text!r}; expected an address of this machine, or a name that has one"
        ) from None


def _tokens() -> bool:
    """Whether TorchServe asks for tokens. Without them nobody but this machine may reach it."""
    if _choice("TOKEN_AUTHORIZATION", ("on", "off")) == "on":
        return True
    hosts = {name: _host(name) for name in ("INFERENCE_HOST", "MANAGEMENT_HOST")}
    for name, host in hosts.items():
        if not host.startswith("127."):
            raise SettingsError(f"TOKEN_AUTHORIZATION is off and {name} is {host}; expected {LOOPBACK}, or tokens on")
    return False


def _choice(name: str, choices: tuple[str, ...]) -> str:
    return environment.choice(os.environ, name, choices)


def _number(name: str, default: int, kind: str, highest: int) -> int:
    return environment.whole_number(os.environ, name, default, kind, highest)
