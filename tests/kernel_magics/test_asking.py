"""``input()`` and ``getpass()`` in a step: asked where somebody waits for it, a clear error where nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.notebooks.kernels import Kernel
from tests.service.engines import state_of, until


@pytest.fixture
def answering(kernel: Kernel) -> Iterator[Callable[[Callable[[str], str]], Kernel]]:
    """The kernel with a front end that answers."""

    def answering(answer: Callable[[str], str]) -> Kernel:
        kernel.client.allow_stdin = True
        kernel.answer = answer
        kernel.asked.clear()
        return kernel

    yield answering
    kernel.client.allow_stdin = False
    kernel.answer = None


@pytest.fixture
def silent(kernel: Kernel) -> Kernel:
    """The kernel with a front end that takes no questions, as nbclient is one."""
    kernel.client.allow_stdin = False
    return kernel


def test_a_question_is_asked_and_its_answer_is_the_value(answering):
    kernel = answering({"Name? ": "Ada", "": "", "Age? ": "36"}.__getitem__)
    ran = kernel.run("%%step\nprint('before')\nname, nothing, age = input('Name? '), input(), int(input('Age? '))\nage")
    assert kernel.asked == [("Name? ", False), ("", False), ("Age? ", False)]
    assert (ran.stdout, ran.result) == ("before\n", "36")
    assert kernel.look("(name, nothing)") == ("Ada", "")


def test_a_secret_is_asked_for_as_one_and_recorded_nowhere(answering, home):
    kernel = answering(lambda _: "tell-nobody-4711")
    ran = kernel.run("%%step asks_for_a_secret\nfrom getpass import getpass\nlen(getpass('Key: '))")
    assert kernel.asked == [("Key: ", True)]
    assert ran.result == "16"
    kept = [path for path in home.folder.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"tell-nobody-4711" in path.read_bytes()]


def test_names_for_asking_are_those_of_the_process_that_asks(answering):
    kernel = answering(lambda prompt: prompt * 2)
    kernel.run("from getpass import getpass\nask = [input]")
    assert kernel.run("%%step\ngetpass('a'), ask[0]('b')").result == "('aa', 'bb')"
    kernel.run("%%step\nfrom getpass import getpass as hidden\nopen_one = input")
    assert kernel.run("hidden('c'), open_one('d')").result == "('cc', 'dd')"


def test_to_stop_the_cell_stops_the_question(answering):
    def stop(_: str) -> str:
        kernel.interrupt()
        return ""

    kernel = answering(stop)
    kernel.client.input = lambda _: None  # nobody answers any more
    try:
        ran = kernel.fail("%%step\nstate = 'asked'\ntry:\n    input('? ')\nfinally:\n    state = 'stopped'")
    finally:
        del kernel.client.input
    assert ran.error["ename"] == "KeyboardInterrupt"
    assert kernel.run("state").result == "'stopped'"


@pytest.mark.parametrize("ask", ["input('? ')", "__import__('getpass').getpass()"])
def test_where_nobody_takes_questions_it_is_a_clear_error(silent, ask):
    ran = silent.fail(f"%%step\n{ask}")
    assert ran.error["ename"] == "StdinNotImplementedError"
    assert "a step asked for input, but this frontend does not support input requests" in ran.error["evalue"]


def test_a_step_that_nobody_waits_for_cannot_ask(answering, home, notebook):
    kernel = answering(lambda _: "an answer")
    kernel.run("%%step asks_alone --async\nwould_be = input('? ')")
    # Whoever uses its value waits for it, and may be asked: first it has asked, and has ended of it.
    client = home.client()
    until(lambda: state_of(client, notebook, "asks_alone") == "failed", "it has asked in vain", seconds=60)
    ran = kernel.fail("len(would_be)")
    assert "a step asked for input, but" in ran.words
    assert kernel.asked == []
