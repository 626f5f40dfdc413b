"""Errors as sentences for the person at the page: what happened, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from page.password import NotPermitted, WrongPassword
from service.client import Busy, Failed, InvalidToken, Refused, ServiceError, Unreachable
from service.operator import InvalidAction
from service.records import State
from service.swap import SwapFailed


@dataclass(frozen=True)
class Explanation:
    """A title, a text that says what to do, and whether the same request may work later."""

    title: str
    text: str
    retry: bool

    def __str__(self) -> str:
        return f"{self.title}. {self.text}"


PICTURE = {
    "InvalidImage": "The file is damaged or cut off: save it anew and try again.",
    "UnsupportedImage": "Use JPEG, PNG, TIFF or WebP.",
    "ImageTooLarge": "Make it smaller, at most 64 megapixels, and try again.",
}
CHANGES = {
    "MethodNotAllowedException": "Registering and unregistering are off: the server was started without an operator "
    "password. Set UI_OPERATOR_PASSWORD and start it again.",
    "ConflictStatusException": "Unregister that version first, or give the archive another one.",
    "InvalidModelVersionException": "Make another version the default first.",
}


def explain(error: Exception, state: State | None = None) -> Explanation:
    """What to tell about an error of the client. `state` is the model's, where it is known: it tells why a 503 came."""
    if isinstance(error, Unreachable):
        return Explanation(
            "The server does not answer",
            "It may be stopped or still starting. This page goes on as soon as it answers; on the server's machine "
            f"scripts/up starts it. ({error})",
            True,
        )
    if isinstance(error, Busy):
        return _busy(state)
    if isinstance(error, InvalidToken) and not error.status:
        return Explanation(
            "The server is not running yet, or its key file is elsewhere",
            "This page goes on once the file is there. Start the server with scripts/up, or point KEY_FILE of the "
            f"page at the key_file.json of a server that runs. ({error})",
            True,
        )
    if isinstance(error, InvalidToken):
        return Explanation(
            "The server refuses the page's token",
            "Its key file is of another server or of an earlier start. Point KEY_FILE of the page at the key_file.json "
            f"of this server. ({error})",
            True,
        )
    if isinstance(error, Failed) and str(error).startswith("Failed to start workers"):
        return Explanation(
            "The workers did not start",
            f"{_sentence(error)} The server's log says why. A version that was registered just now stays, without "
            "workers: unregister it.",
            False,
        )
    if isinstance(error, Failed):
        return Explanation(
            "The model's worker failed on this request",
            "TorchServe starts a dead worker again by itself. Try again in a few seconds; if it fails each time, the "
            f"server's log says why. ({error})",
            True,
        )
    if isinstance(error, Refused):
        return _refused(error)
    if isinstance(error, WrongPassword):
        return Explanation("Nothing was unlocked", _sentence(error), False)
    if isinstance(error, NotPermitted):
        return Explanation("Only an operator may do this", _sentence(error), False)
    if isinstance(error, InvalidAction):
        return Explanation("This cannot be done", _sentence(error), False)
    if isinstance(error, SwapFailed):
        return Explanation("The swap failed", _sentence(error), False)
    if isinstance(error, ServiceError):
        return Explanation("The server could not do this", f"It said: {_sentence(error)} Try again in a moment.", True)
    return Explanation(
        "Something in this page went wrong",
        "It was not your doing. Try again; the page's log names the fault "
        f"({type(error).__name__}), which its makers would like to know of.",
        True,
    )


def _busy(state: State | None) -> Explanation:
    if state == "starting":
        return Explanation("The model is starting", "Its worker is not ready yet. Try again in a few seconds.", True)
    if state == "unloaded":
        return Explanation(
            "The model is not loaded",
            "It has no worker. Choose another model, or let an operator load it on the page Models.",
            True,
        )
    if state == "failed":
        return Explanation(
            "The model's worker is gone",
            "TorchServe starts a dead worker again by itself. Try again in a few seconds; if it stays away, the "
            "server's log says why.",
            True,
        )
    return Explanation(
        "The server is busy",
        "More requests wait than it admits, or its worker is being started again. Try again in a few seconds.",
        True,
    )


def _refused(error: Refused) -> Explanation:
    if error.kind in PICTURE:
        return Explanation("The server cannot read this picture", f"{_sentence(error)} {PICTURE[error.kind]}", False)
    if error.kind in ("InvalidOption", "InvalidRequest"):
        return Explanation("The server refuses these options", f"{_sentence(error)} Change them and try again.", False)
    if error.kind in CHANGES:
        return Explanation("The server refuses this change", f"{_sentence(error)} {CHANGES[error.kind]}".strip(), False)
    if error.status == 404 and str(error).startswith("Model not found at"):
        return Explanation("The server does not find this archive", f"{_sentence(error)} Is it in its store?", False)
    if error.status == 404:
        return Explanation(
            "The server does not have this model",
            "It may have been removed a moment ago. Choose another one.",
            True,
        )
    if error.status == 413:
        return Explanation("The file is too large", "The server takes files of up to 32 MB. Make it smaller.", False)
    return Explanation("The server refuses this request", f"It said: {_sentence(error)}", False)


def _sentence(error: Exception) -> str:
    text = str(error).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
