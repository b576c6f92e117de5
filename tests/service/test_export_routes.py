"""What helps to ask for an export."""

from __future__ import annotations

import pytest

from cellyard.errors import UsageError


def test_the_targets_are_told(client):
    found = {each["name"]: each for each in client._call("GET", "/v1/exporters")["exporters"]}
    seen = {name: (each["keeps_time"], each["writes_bundle"], each["problem"]) for name, each in found.items()}
    assert seen == {"bundle": (False, True, ""), "kubernetes": (True, False, "")}
    assert found["bundle"]["title"].startswith("Bundle:")


def test_a_cron_expression_is_told_in_words_with_its_next_times(client):
    found = client._call("POST", "/v1/cron", {"expression": "0 6 * * 1-5", "timezone": "Europe/Berlin"})
    assert "Monday through Friday" in found["words"]
    assert len(found["next"]) == 5
    assert all("T06:00:00+0" in each for each in found["next"])
    with pytest.raises(UsageError, match="five fields"):
        client._call("POST", "/v1/cron", {"expression": "often"})
