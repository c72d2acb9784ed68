import pytest

from generation.remote.circuit import FAILURES_TO_OPEN, LONGEST_WAIT_SECONDS, Circuit, State


def failed(times: int) -> Circuit:
    circuit = Circuit()
    for _ in range(times):
        circuit.fail("odd", is_gone=False)
    return circuit


def test_it_opens_at_the_last_failure_in_a_row_and_at_once_for_a_server_that_is_gone() -> None:
    assert failed(FAILURES_TO_OPEN - 1).state is State.CLOSED
    assert failed(FAILURES_TO_OPEN).state is State.OPEN
    circuit = Circuit()
    circuit.fail("gone", is_gone=True)
    assert (circuit.state, circuit.reason) == (State.OPEN, "gone")


def test_a_success_between_failures_starts_the_count_anew() -> None:
    circuit = failed(FAILURES_TO_OPEN - 1)
    circuit.succeed()
    circuit.fail("odd", is_gone=False)
    assert circuit.state is State.CLOSED


def test_it_closes_only_by_way_of_a_single_try() -> None:
    circuit = failed(FAILURES_TO_OPEN)
    states = [circuit.state]
    circuit.half_open()
    states.append(circuit.state)
    circuit.fail("again", is_gone=False)
    states.append(circuit.state)
    circuit.half_open()
    circuit.succeed()
    states.append(circuit.state)
    assert states == [State.OPEN, State.HALF_OPEN, State.OPEN, State.CLOSED]
    assert circuit.reason == ""


def test_a_closed_circuit_is_not_half_opened() -> None:
    circuit = Circuit()
    circuit.half_open()
    assert circuit.state is State.CLOSED


@pytest.mark.parametrize(("checks", "least", "most"), [(0, 0.37, 0.63), (2, 1.5, 2.5), (50, 7.5, 12.5)])
def test_checks_come_ever_less_often(checks: int, least: float, most: float) -> None:
    circuit = failed(FAILURES_TO_OPEN)
    for _ in range(50):
        assert least <= circuit.next_wait_seconds(checks) <= most
    assert most <= LONGEST_WAIT_SECONDS * 1.25


def test_a_server_that_passes_checks_and_fails_again_waits_longer() -> None:
    circuit = failed(FAILURES_TO_OPEN)
    for _ in range(3):
        circuit.half_open()
        circuit.fail("again", is_gone=False)
    assert circuit.next_wait_seconds(0) >= 0.5 * 2**3 * 0.75
