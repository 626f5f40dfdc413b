from __future__ import annotations

import threading

import pytest

from page.password import Gate, NotPermitted, Permit, WrongPassword


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_right_password_gives_a_permit_until_the_gate_is_locked() -> None:
    gate = Gate("pässword")
    permit = gate.unlock("pässword")
    gate.require(permit)
    gate.lock(permit)
    with pytest.raises(NotPermitted):
        gate.require(permit)


@pytest.mark.parametrize("forged", [None, True, "pässword", Permit(""), Permit("guess")])
def test_nothing_else_is_a_permit(forged: object) -> None:
    gate = Gate("pässword")
    gate.unlock("pässword")
    with pytest.raises(NotPermitted):
        gate.require(forged)


def test_a_permit_of_another_gate_is_invalid() -> None:
    with pytest.raises(NotPermitted):
        Gate("a").require(Gate("a").unlock("a"))


@pytest.mark.parametrize("password", [None, ""])
def test_without_a_password_there_is_no_operator(password: str | None) -> None:
    gate = Gate(password)
    assert not gate.exists
    with pytest.raises(NotPermitted, match="off"):
        gate.unlock("")


def test_the_delay_grows_with_each_failure_and_the_right_password_ends_it() -> None:
    clock = Clock()
    gate = Gate("right", clock)
    delays = []
    for _ in range(9):
        with pytest.raises(WrongPassword) as caught:
            gate.unlock("wrong")
        delays.append(caught.value.delay)
        clock.now += caught.value.delay
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    gate.unlock("right")
    with pytest.raises(WrongPassword) as caught:
        gate.unlock("wrong")
    assert caught.value.delay == 1


def test_during_the_delay_no_password_is_checked() -> None:
    clock = Clock()
    gate = Gate("right", clock)
    with pytest.raises(WrongPassword):
        gate.unlock("wrong")
    clock.now += 0.5
    with pytest.raises(WrongPassword, match="is accepted in 1 s"):
        gate.unlock("right")
    clock.now += 0.5
    gate.unlock("right")


def test_only_one_of_many_simultaneous_guesses_is_checked() -> None:
    gate = Gate("right")
    compared = []

    def guess() -> None:
        try:
            gate.unlock("wrong")
        except WrongPassword as error:
            compared.append("not the operator's password" in str(error))

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(compared) == [False] * 19 + [True]


def test_no_text_reveals_the_secret() -> None:
    gate = Gate("right")
    permit = gate.unlock("right")
    assert permit.secret not in repr(permit)
    with pytest.raises(WrongPassword) as caught:
        gate.unlock("my other password")
    assert "right" not in repr(gate) + repr(caught.value)
    assert "my other password" not in str(caught.value)
