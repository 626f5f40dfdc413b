"""The states of a watched server, with a fake clock and records instead of a server."""

from __future__ import annotations

import pytest

from server.container.registration import Registration
from server.container.watch import RESTORE_SECONDS, SILENT_SECONDS, Observation, Watch
from service.errors import Failed, TimedOut, Unreachable
from service.records import Model, Version, Worker

START = 1000.0  # of the fake clock, in seconds
UNREACHABLE = Unreachable("no answer from http://127.0.0.1:8081: ConnectionError")


def version(name: str, min_workers: int, ready: int, loading: int = 0) -> Version:
    statuses = ["READY"] * ready + ["UNLOADING"] * loading
    workers = tuple(Worker(str(index), 7, status, 0, "", False) for index, status in enumerate(statuses))
    return Version(name, "x.mar", min_workers, min_workers, 4, 1, 0, 100, workers, True)


def model(name: str, *versions: Version) -> Model:
    return Model(name, versions, versions[0].version)


READY = model("shapes", version("1.0", 1, 1))
LOADING = model("shapes", version("1.0", 1, 0, 1))
OTHER = model("other", version("1.0", 2, 2))


def seen(*models: Model, at: float = START + 1) -> Observation:
    return Observation(at, models)


def failed(error: Exception, at: float) -> Observation:
    return Observation(at, error=error)


@pytest.fixture
def starting() -> Watch:
    return Watch.started(["shapes"], START)


@pytest.fixture
def ready(starting: Watch) -> Watch:
    """A server that was restored and is ready."""
    return starting.restored().observed(seen(READY)).checked([])


def test_a_started_server_is_starting_and_expects_its_models(starting: Watch) -> None:
    assert (starting.phase, starting.problems) == ("starting", ("starting",))
    assert starting.expected == {"shapes"}
    assert not starting.is_restored


def test_while_starting_an_error_is_the_problem(starting: Watch) -> None:
    watch = starting.observed(failed(UNREACHABLE, START + 1))
    assert (watch.phase, watch.problems) == ("starting", (str(UNREACHABLE),))


def test_a_server_that_answers_is_restoring_until_it_is_restored(starting: Watch) -> None:
    watch = starting.observed(seen(READY)).checked([])
    assert (watch.phase, watch.problems) == ("restoring", ("restoring",))
    watch = starting.observed(seen(LOADING)).checked(["shapes: 0 of 1 workers are ready"])
    assert (watch.phase, watch.problems) == ("restoring", ("shapes: 0 of 1 workers are ready",))
    watch = watch.observed(failed(UNREACHABLE, START + 2))
    assert (watch.phase, watch.problems) == ("restoring", (str(UNREACHABLE),))
    assert watch.restored().observed(seen(READY)).checked([]).phase == "ready"


def test_registrations_are_restored_when_all_versions_are_ready(starting: Watch) -> None:
    assert starting.should_restore(seen(READY), [])
    assert not starting.should_restore(seen(LOADING), [])
    assert not starting.should_restore(seen(OTHER), [])  # shapes is not registered
    assert not starting.should_restore(seen(model("shapes", version("1.0", 1, 1), version("2.0", 2, 1, 1))), [])
    assert not starting.restored().should_restore(seen(READY), [])


def test_a_version_that_was_saved_without_workers_is_not_waited_for(starting: Watch) -> None:
    observation = seen(model("shapes", version("1.0", 1, 1), version("2.0", 1, 0)))
    saved = Registration("shapes", "2.0", "x.mar", 0, False)
    assert starting.should_restore(observation, [saved])
    assert not starting.should_restore(observation, [Registration("shapes", "2.0", "x.mar", 1, False)])


def test_registrations_are_restored_at_the_latest_after_some_minutes(starting: Watch) -> None:
    assert not starting.should_restore(seen(LOADING, at=START + RESTORE_SECONDS), [])
    assert starting.should_restore(seen(LOADING, at=START + RESTORE_SECONDS + 1), [])


def test_a_server_without_problems_is_ready(ready: Watch) -> None:
    assert (ready.phase, ready.problems) == ("ready", ())
    assert ready.were_ready == {"shapes"}


def test_a_problem_makes_it_not_ready_and_its_end_ready_again(ready: Watch) -> None:
    watch = ready.observed(seen(LOADING)).checked(["shapes: 0 of 1 workers are ready"])
    assert (watch.phase, watch.problems) == ("not ready", ("shapes: 0 of 1 workers are ready",))
    assert watch.expected == {"shapes"}
    assert watch.observed(seen(READY)).checked([]).phase == "ready"


@pytest.mark.parametrize("error", [UNREACHABLE, TimedOut("no answer within 10 s"), Failed("internal error", 500)])
def test_an_error_makes_it_not_ready(ready: Watch, error: Exception) -> None:
    watch = ready.observed(failed(error, START + 2))
    assert (watch.phase, watch.problems) == ("not ready", (str(error),))


def test_a_new_model_is_expected_once_it_was_ready(ready: Watch) -> None:
    loading = model("other", version("1.0", 2, 1, 1))
    watch = ready.observed(seen(READY, loading))
    assert watch.expected == {"shapes"}
    watch = watch.observed(seen(READY, OTHER))
    assert watch.expected == {"shapes", "other"}
    assert watch.observed(seen(READY, loading)).expected == {"shapes", "other"}


def test_a_model_that_was_ready_and_is_unregistered_is_no_longer_expected(ready: Watch) -> None:
    watch = ready.observed(seen(READY, OTHER)).observed(seen(OTHER))
    assert watch.expected == {"other"}


def test_a_model_that_was_never_ready_stays_expected(starting: Watch) -> None:
    assert starting.restored().observed(seen(OTHER)).expected == {"shapes", "other"}


def test_before_restoring_a_missing_model_stays_expected(starting: Watch) -> None:
    assert starting.observed(seen(READY)).observed(seen(OTHER)).expected == {"shapes", "other"}


def test_a_server_that_does_not_answer_for_too_long_is_silent(ready: Watch) -> None:
    last = ready.answered_at
    watch = ready.observed(failed(UNREACHABLE, last + SILENT_SECONDS))
    assert watch.phase == "not ready"
    assert watch.observed(failed(UNREACHABLE, last + SILENT_SECONDS + 1)).phase == "silent"
    answered = watch.observed(seen(READY, at=last + SILENT_SECONDS))
    assert answered.observed(failed(UNREACHABLE, last + SILENT_SECONDS + 1)).phase == "not ready"


def test_an_error_answer_is_not_silence(ready: Watch) -> None:
    assert ready.observed(failed(Failed("internal error", 500), START + 10 * SILENT_SECONDS)).phase == "not ready"


def test_a_starting_server_may_be_silent_until_it_should_be_restored(starting: Watch) -> None:
    latest = START + RESTORE_SECONDS + SILENT_SECONDS
    assert starting.observed(failed(UNREACHABLE, latest)).phase == "starting"
    assert starting.observed(failed(UNREACHABLE, latest + 1)).phase == "silent"


def test_a_server_that_ends_is_stopping(starting: Watch, ready: Watch) -> None:
    for watch in (starting.stopping(), ready.stopping()):
        assert (watch.phase, watch.problems) == ("stopping", ("stopping",))
