"""What is nested deeper than Python's usual limits is packed all the same."""

from __future__ import annotations

import pickle
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from bs4 import BeautifulSoup

from cellyard.artifacts.artifact import pack_group
from cellyard.errors import CannotTravel

LINKS = 20_000


def chain(links: int, last: Any = None) -> Any:
    for number in range(links):
        last = SimpleNamespace(number=number, next=last)
    return last


def test_a_long_chain_arrives_whole_and_python_s_limits_are_as_before():
    before = sys.getrecursionlimit(), threading.stack_size()
    head = chain(LINKS)
    found: Any = pickle.loads(pack_group({"head": head, "second": head.next}, {}).pickle)
    assert found["second"] is found["head"].next
    seen, node = 0, found["head"]
    while node is not None:
        seen, node = seen + 1, node.next
    assert seen == LINKS
    assert (sys.getrecursionlimit(), threading.stack_size()) == before


def test_what_cannot_travel_is_named_also_at_the_end_of_a_long_chain():
    with pytest.raises(CannotTravel, match=r"'head' .*its part head\.next\.next"):
        pack_group({"fine": 1, "head": chain(LINKS, threading.Thread())}, {})


def test_what_has_no_end_is_told_as_too_deep():
    class Endless:
        def __reduce__(self) -> Any:
            return Endless, (Endless(),)

    with pytest.raises(CannotTravel, match="deep recursion"):
        pack_group({"endless": Endless()}, {})


def test_a_page_of_thousands_of_tags_and_those_that_were_found_in_it_stay_one():
    page = BeautifulSoup("<table>" + "<tr><td>1</td><td>b</td></tr>" * 2000 + "</table>", "html.parser")
    found = pickle.loads(pack_group({"page": page, "rows": page.find_all("tr")}, {}).pickle)
    assert found["page"].find_all("tr")[-1] is found["rows"][-1]
    assert str(found["page"]) == str(page)
