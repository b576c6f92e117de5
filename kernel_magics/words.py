"""Words: what follows ``%steps VERB``, parted and parsed; what is wrong with it is said, and ends nothing."""

from __future__ import annotations

import argparse
import shlex
from typing import NoReturn

from cellyard.errors import UsageError

__all__ = ["WordParser", "words_of"]


class WordParser(argparse.ArgumentParser):
    """Of one verb. Raises UsageError."""

    def __init__(self, verb: str) -> None:
        super().__init__(prog=f"%steps {verb}", add_help=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}")


def words_of(line: str) -> list[str]:
    """The words of a line as a command line has them. Raises UsageError."""
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{line}: {error}") from error
