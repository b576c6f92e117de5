"""A notebook is renamed while its steps run, and its kernel goes on under the old name."""

from __future__ import annotations

import pytest

from cellyard.errors import CellyardError
from cellyard.model.moving import session_of_kernel
from cellyard.whereabouts import Whereabouts
from tests.service.engines import run_step, step, until_it_runs


def test_a_running_step_is_that_of_the_renamed_notebook(client):
    session = session_of_kernel("aa-1") + "life"
    with client.submit_step(step("import time\ntime.sleep(60)", notebook="/old.ipynb", session=session)) as stream:
        until_it_runs(stream)
        client._call("POST", "/v1/notebooks/moved", {"notebook": "/new.ipynb", "before": "/old.ipynb"})
        assert [each["state"] for each in client.notebook_steps("/new.ipynb")] == ["running"]
        (place,) = client._call("GET", "/v1/workers")["places"]
        assert [each["notebook"] for each in place["steps"]] == ["/new.ipynb"]
        with pytest.raises(CellyardError, match="still running here"):
            run_step(client, "1", notebook="/new.ipynb", session=session)
        client.cancel(stream.token)
        list(stream)
    assert client.notebook_steps("/old.ipynb") == []
    run_step(client, "1", notebook="/new.ipynb", session=session)


def test_a_kernel_hears_where_its_notebook_is(client):
    session = session_of_kernel("bb-2") + "life"
    run_step(client, "1", notebook="/Untitled.ipynb", session=session)
    heard = Whereabouts(client.settings.runtime)
    assert heard.notebook_of("bb-2") is None
    client._call("POST", "/v1/notebooks/moved", {"notebook": "/named.ipynb", "kernel": "bb-2"})
    assert heard.notebook_of("bb-2") == "/named.ipynb"
    assert [each["name"] for each in client.notebook_steps("/named.ipynb")] == ["work"]
    client._call("POST", "/v1/notebooks/moved", {"notebook": "/again.ipynb", "kernel": "bb-2"})
    assert heard.notebook_of("bb-2") == "/again.ipynb"
    assert heard.notebook_of("") is None


def test_the_kernels_that_were_told_of_last_are_remembered(tmp_path):
    told = Whereabouts(tmp_path)
    for number in range(1003):
        told.tell(f"k{number}", "/n.ipynb")
    found = Whereabouts(tmp_path)
    assert [found.notebook_of(f"k{number}") for number in (2, 3, 1002)] == [None, "/n.ipynb", "/n.ipynb"]
    assert [each.name for each in tmp_path.iterdir()] == ["notebooks.json"]
