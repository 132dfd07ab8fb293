"""What SIGTERM and SIGINT do; whole runs are in run_test.py."""

import signal

import pytest

from labse.training.signals import DelayedSignals, end_process_at_once


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def handlers():
    def stop(number, frame):
        raise Stopped

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, stop) for number in numbers}
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_waits_for_the_end_of_the_block(number):
    done = []
    with pytest.raises(Stopped), DelayedSignals() as signals:
        signal.raise_signal(number)
        done.append(signals.received)
    assert done == [number.name]


def test_a_second_signal_takes_effect_at_once():
    done = []
    with pytest.raises(Stopped), DelayedSignals():
        signal.raise_signal(signal.SIGTERM)
        done.append("first")
        signal.raise_signal(signal.SIGTERM)
        done.append("second")
    assert done == ["first"]


def test_a_call_ends_with_the_signal():
    done = []

    def work():
        done.append("begun")
        signal.raise_signal(signal.SIGTERM)
        done.append("not reached")

    with pytest.raises(Stopped), DelayedSignals() as signals:
        assert signals.call_unless_received(lambda: 7) == 7
        assert signals.call_unless_received(work) is None
        assert signals.call_unless_received(lambda: 7) is None
        done.append("after")
    assert done == ["begun", "after"]


def test_other_errors_of_a_call_are_raised_and_end_its_readiness():
    done = []
    with pytest.raises(Stopped), DelayedSignals() as signals:
        with pytest.raises(ZeroDivisionError):
            signals.call_unless_received(lambda: 1 / 0)
        signal.raise_signal(signal.SIGTERM)
        done.append("after")
    assert done == ["after"]


def test_in_the_block_a_signal_ends_the_process(handlers):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # As for a job of a shell.
    with end_process_at_once():
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        signal.signal(signal.SIGTERM, lambda *_: None)  # A library's.
    assert signal.getsignal(signal.SIGTERM) is handlers
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
