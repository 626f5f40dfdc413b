"""The state of a watched server: a value that changes with each observation. It uses no clock and no network.

A server goes through these phases: `starting` until it answers for the first time, `restoring` until its registrations
are those of before, then `ready` or `not ready`; `silent` if it does not answer for too long, `stopping` at the end.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from server.container.registration import Registration
from service.errors import Unreachable
from service.records import Model

Phase = Literal["starting", "restoring", "ready", "not ready", "silent", "stopping"]

RESTORE_SECONDS = 180.0  # versions that are not ready by then are left as they are
SILENT_SECONDS = 45.0  # a server that does not answer for so long is given up
STOPPING = "stopping"  # the problem that a proxy looks for: deploy/kubernetes/proxy/haproxy.cfg


@dataclass(frozen=True)
class Observation:
    """What the server answered at time `at` (seconds of a monotonic clock): its models, or an error."""

    at: float
    models: tuple[Model, ...] = ()
    error: Exception | None = None


@dataclass(frozen=True)
class Watch:
    """The state of a server. Each method returns the next state.

    expected: the models whose problems count: those of the start, and those that were ready once.
    were_ready: the models that were ready once.
    restore_by: when the registrations are restored at the latest.
    answered_at: when the server answered last; before its first answer, when it should answer at the latest.
    problems: why requests should not be sent to the server; empty if they should.
    """

    phase: Phase
    expected: frozenset[str]
    were_ready: frozenset[str]
    restore_by: float
    answered_at: float
    is_restored: bool = False
    problems: tuple[str, ...] = ("starting",)

    @classmethod
    def started(cls, models: Collection[str], at: float) -> Watch:
        """The state of a server that was started with these models."""
        deadline = at + RESTORE_SECONDS
        return cls("starting", frozenset(models), frozenset(), deadline, deadline)

    def should_restore(self, observation: Observation, saved: Sequence[Registration]) -> bool:
        """Whether it is time to restore the registrations: all models are ready, or it took too long."""
        return not self.is_restored and (
            observation.at > self.restore_by or _all_ready(self.expected, observation.models, saved)
        )

    def restored(self) -> Watch:
        """The state after the registrations were restored."""
        return replace(self, is_restored=True)

    def observed(self, observation: Observation) -> Watch:
        """The state after the server was observed. The models' health is not known yet, see `checked`."""
        if observation.error is not None:
            return self._failed(observation)
        registered = frozenset(model.name for model in observation.models)
        expected = self.expected
        if self.is_restored:  # from now on operators, or the desired state, decide what is registered
            expected -= self.were_ready - registered
        were_ready = self.were_ready | {model.name for model in observation.models if model.is_ready}
        return replace(
            self, expected=expected | (were_ready & registered), were_ready=were_ready, answered_at=observation.at
        )

    def checked(self, problems: Sequence[str]) -> Watch:
        """The state after the health of the expected models was checked."""
        if not self.is_restored:
            return replace(self, phase="restoring", problems=tuple(problems) or ("restoring",))
        return replace(self, phase="not ready" if problems else "ready", problems=tuple(problems))

    def stopping(self) -> Watch:
        """The state of a server that takes no more requests."""
        return replace(self, phase="stopping", problems=(STOPPING,))

    def _failed(self, observation: Observation) -> Watch:
        error = observation.error
        phase: Phase = "not ready" if self.is_restored else self.phase
        if isinstance(error, Unreachable) and observation.at - self.answered_at > SILENT_SECONDS:
            phase = "silent"
        return replace(self, phase=phase, problems=(str(error),))


def _all_ready(expected: Collection[str], models: Sequence[Model], saved: Sequence[Registration]) -> bool:
    """Whether all expected models are registered and all versions ready, except those that were saved as unloaded."""
    unloaded = {(registration.model, registration.version) for registration in saved if registration.workers == 0}
    return set(expected) <= {model.name for model in models} and all(
        version.is_ready or (model.name, version.version) in unloaded for model in models for version in model.versions
    )
