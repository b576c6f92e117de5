"""A handler of logging is one handler, whoever leads to it, and its file is gone on with."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cellyard.artifacts import handlers
from cellyard.artifacts.artifact import load, pack
from cellyard.artifacts.held import HandlerState
from cellyard.artifacts.store import Store, open_store
from cellyard.worker.logging_state import capture_logging, handlers_beside, set_logging
from tests.house.source_tree import ROOT

NAME = "tests.of.handlers"


class Lines(logging.Handler):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger(NAME)
    yield found
    for each in list(found.handlers):
        found.removeHandler(each)
        each.close()
    found.setLevel(logging.NOTSET)


def test_a_state_applied_again_leaves_loggers_their_handlers(logger: logging.Logger):
    logger.addHandler(logging.StreamHandler())
    logger.addHandler(logging.NullHandler())
    before, held = list(logger.handlers), logger.handlers
    state = capture_logging()
    logger.handlers.reverse()
    set_logging(state)
    assert logger.handlers == before
    assert logger.handlers is held


def test_a_state_has_the_level_of_a_handler_that_is_here(logger: logging.Logger):
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    handler.setLevel(logging.ERROR)
    state = capture_logging()
    handler.setLevel(logging.DEBUG)
    set_logging(state)
    assert (handler.level, logger.handlers) == (logging.ERROR, [handler])


def test_what_cannot_be_made_anew_stays_with_its_logger(logger: logging.Logger):
    stays = Lines()
    logger.addHandler(stays)
    state = capture_logging()
    assert NAME not in state["loggers"]
    logger.addHandler(logging.NullHandler())
    set_logging(state)
    assert logger.handlers == [stays]


def test_a_handler_of_its_own_class_is_told_when_it_has_changed(logger: logging.Logger):
    own = Lines()
    logger.addHandler(own)
    assert own in handlers_beside()
    state = HandlerState([own], {})
    assert state.changes([own]) == {}
    logger.error("x")
    [(name, change)] = state.changes([own]).items()
    assert change["set"]["handler"] is own
    assert name == handlers.as_held(own)[0]


def test_a_reader_of_earlier_values_gets_a_handler_of_its_own(logger: logging.Logger, tmp_path: Path):
    handler = logging.StreamHandler(sys.__stderr__)
    handler.stream = None  # type: ignore[assignment]
    logger.addHandler(handler)
    values: dict[str, Any] = {"handler": handler}
    store = _store(tmp_path)
    [reference] = pack(values, values, store)
    handler.setLevel(logging.ERROR)
    made = load(store, reference.to_dict(), {})["handler"]
    assert made is not handler
    assert (made.level, handler.level) == (logging.NOTSET, logging.ERROR)


def test_two_processes_write_to_one_file_after_each_other(logger: logging.Logger, tmp_path: Path):
    path = tmp_path / "log.txt"
    handler = logging.FileHandler(path, mode="w")
    logger.addHandler(handler)
    logger.error("here")
    state = capture_logging()
    source = (
        "import logging, pickle, sys\n"
        "from cellyard.worker.logging_state import set_logging\n"
        "set_logging(pickle.loads(sys.stdin.buffer.read()))\n"
        f"logger = logging.getLogger({NAME!r}); logger.error('there'); print(logger.handlers[0].mode)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", source],
        input=pickle.dumps(state),
        capture_output=True,
        check=True,
        timeout=60,
        cwd=ROOT,
        env=dict(os.environ),
    )
    assert ran.stdout.decode().split() == ["w"]
    logger.error("here again")
    assert path.read_text(encoding="utf-8").split("\n") == ["here", "there", "here again", ""]


def _store(folder: Path) -> Store:
    found = open_store(str(folder / "store"))
    found.open()
    return found


class Loud(logging.Logger):
    """One of a class of somebody's own."""


def test_a_logger_of_another_class_is_of_that_where_it_arrives(tmp_path: Path):
    store, known = _store(tmp_path), logging.root.manager.loggerDict
    made = handlers.logger_of(f"{NAME}.loud", Loud)
    [reference] = pack({"made": made}, {}, store)
    for there in (None, logging.Logger):
        del known[made.name]
        if there is not None:
            logging.getLogger(made.name)  # as one whose level is set before
        found = load(store, reference.to_dict())["made"]
        assert (type(found), logging.getLogger(made.name)) == (Loud, found)
    assert logging.getLoggerClass() is logging.Logger
    del known[made.name]
