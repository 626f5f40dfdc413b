"""Errors as messages for the visitor: what happened, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from page.password import NotPermitted, WrongPassword
from service.errors import ErrorKind, ServiceError
from service.operator import InvalidAction
from service.records import State
from service.swap import SwapFailed


@dataclass(frozen=True)
class Explanation:
    """A title, a text that says what to do, and whether a retry of the same request may succeed.

    In the tables below, `{error}` stands for the error's message, and `{sentence}` for the message as a sentence.
    """

    title: str
    text: str
    retry: bool

    def __str__(self) -> str:
        return f"{self.title}. {self.text}"

    def about(self, error: Exception) -> Explanation:
        """The same with the error's message in its text."""
        text = self.text.format(error=error, sentence=_sentence(error), type=type(error).__name__)
        return Explanation(self.title, text, self.retry)


INVALID_IMAGE = "The server cannot read this picture"
INVALID_CHANGE = "The server refuses this change"

SERVICE_ERRORS: Mapping[ErrorKind, Explanation] = {
    ErrorKind.UNREACHABLE: Explanation(
        "The server does not answer",
        "It may be stopped or still starting. This page continues as soon as it answers. On the server's machine "
        "scripts/up starts it. ({error})",
        True,
    ),
    ErrorKind.TIMED_OUT: Explanation(
        "The server does not answer in time",
        "It may be overloaded, or its worker may be stuck. Try again in a few seconds. ({error})",
        True,
    ),
    ErrorKind.BUSY: Explanation(
        "The server is busy",
        "Its queue is full, or a worker is being started again. Try again in a few seconds.",
        True,
    ),
    ErrorKind.WORKER_FAILED: Explanation(
        "The model's worker failed on this request",
        "TorchServe restarts a dead worker by itself. Try again in a few seconds. If it fails each time, the server's "
        "log gives the reason. ({error})",
        True,
    ),
    ErrorKind.WORKERS_NOT_STARTED: Explanation(
        "The workers did not start",
        "{sentence} The server's log gives the reason. A version that was just registered stays registered without "
        "workers: unregister it.",
        False,
    ),
    ErrorKind.INVALID_ANSWER: Explanation(
        "The server's answer cannot be read",
        "{sentence} Check that the address is that of this service.",
        True,
    ),
    ErrorKind.TOKEN_MISSING: Explanation(
        "The server is not running yet, or its key file is elsewhere",
        "This page continues as soon as the file exists. Start the server with scripts/up, or set the page's KEY_FILE "
        "to the key_file.json of a running server. ({error})",
        True,
    ),
    ErrorKind.TOKEN_REFUSED: Explanation(
        "The server refuses the page's token",
        "The page's key file is of another server, or of an earlier start of this one. Set the page's KEY_FILE to the "
        "key_file.json of this server. ({error})",
        True,
    ),
    ErrorKind.MODEL_NOT_FOUND: Explanation(
        "The server does not have this model",
        "It may have been removed a moment ago. Choose another one.",
        True,
    ),
    ErrorKind.ARCHIVE_NOT_FOUND: Explanation(
        "The server does not find this archive",
        "{sentence} Check that the file is in the server's model store.",
        False,
    ),
    ErrorKind.BODY_TOO_LARGE: Explanation(
        "The file is too large",
        "The server accepts files of up to 32 MB. Make it smaller.",
        False,
    ),
    ErrorKind.INVALID_IMAGE: Explanation(
        INVALID_IMAGE,
        "{sentence} The file is damaged or incomplete: save it again and retry.",
        False,
    ),
    ErrorKind.UNSUPPORTED_IMAGE: Explanation(
        INVALID_IMAGE,
        "{sentence} Use JPEG, PNG, TIFF or WebP.",
        False,
    ),
    ErrorKind.IMAGE_TOO_LARGE: Explanation(
        INVALID_IMAGE,
        "{sentence} Make it smaller, at most 64 megapixels, and try again.",
        False,
    ),
    ErrorKind.INVALID_OPTION: Explanation(
        "The server refuses these options",
        "{sentence} Change them and try again.",
        False,
    ),
    ErrorKind.REGISTRATION_OFF: Explanation(
        INVALID_CHANGE,
        "{sentence} Registering and unregistering are off: the server was started without an operator password. Set "
        "UI_OPERATOR_PASSWORD and start it again.",
        False,
    ),
    ErrorKind.VERSION_CONFLICT: Explanation(
        INVALID_CHANGE,
        "{sentence} Unregister that version first, or give the archive another one.",
        False,
    ),
    ErrorKind.DEFAULT_VERSION: Explanation(
        INVALID_CHANGE,
        "{sentence} Make another version the default first.",
        False,
    ),
    ErrorKind.REFUSED: Explanation(
        "The server refuses this request",
        "Its message: {sentence}",
        False,
    ),
    ErrorKind.OTHER: Explanation(
        "The server could not do this",
        "Its message: {sentence} Try again in a moment.",
        True,
    ),
}

# A 503 has several causes. Where the model's state is known, it tells which.
BUSY_BY_STATE: Mapping[State, Explanation] = {
    "starting": Explanation(
        "The model is starting",
        "Its worker is not ready yet. Try again in a few seconds.",
        True,
    ),
    "unloaded": Explanation(
        "The model is not loaded",
        "It has no worker. Choose another model, or ask an operator to load it on the page Models.",
        True,
    ),
    "failed": Explanation(
        "The model has no running worker",
        "TorchServe restarts a dead worker by itself. Try again in a few seconds. If no worker comes back, the "
        "server's log gives the reason.",
        True,
    ),
}

PAGE_ERRORS: Mapping[type[Exception], Explanation] = {
    WrongPassword: Explanation("The password was not accepted", "{sentence}", False),
    NotPermitted: Explanation("Only an operator may do this", "{sentence}", False),
    InvalidAction: Explanation("This action is not possible", "{sentence}", False),
    SwapFailed: Explanation("The swap failed", "{sentence}", False),
}

UNEXPECTED = Explanation(
    "This page has failed",
    "The cause is a fault in the page, not your input. Try again. The page's log describes the fault ({type}); please "
    "report it.",
    True,
)


def explain(error: Exception, state: State | None = None) -> Explanation:
    """The message for an error. `state`: the model's, if it is known."""
    return _template(error, state).about(error)


def _template(error: Exception, state: State | None) -> Explanation:
    if isinstance(error, ServiceError):
        busy = BUSY_BY_STATE.get(state) if state and error.kind is ErrorKind.BUSY else None
        return busy or SERVICE_ERRORS[error.kind]
    return PAGE_ERRORS.get(type(error), UNEXPECTED)


def _sentence(error: Exception) -> str:
    """The error's message with a capital letter and a full stop."""
    text = str(error).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
