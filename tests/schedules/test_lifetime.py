"""Whether the engine can outlive its session is told by what the session has left."""

from __future__ import annotations

import pytest

from cellyard.schedules.lifetime import lifetime_here, why_short_lived


def test_on_a_machine_of_ones_own_it_goes_on():
    assert (
        why_short_lived({"HOME": "/home/ada"}, {"/etc/systemd/logind.conf": "#KillUserProcesses=yes"}, lingers=False)
        is None
    )


@pytest.mark.parametrize(
    ("env", "files", "words"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {}, "a pod"),
        ({"JUPYTERHUB_API_TOKEN": "x"}, {}, "JupyterHub"),
        ({"COLAB_RELEASE_TAG": "x"}, {}, "Colab"),
        ({}, {"/.dockerenv": ""}, "a container"),
        ({}, {"/etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\n"}, "enable-linger"),
    ],
)
def test_where_it_ends_with_the_session_that_is_said_with_another_way(env, files, words):
    said = why_short_lived(env, files, lingers=False)
    assert said is not None
    assert words in said
    assert "--to kubernetes" in said
    assert "x" not in said.split("CRON")[0].split()


def test_lingering_users_keep_their_processes():
    files = {"/etc/systemd/logind.conf": "KillUserProcesses=yes"}
    assert why_short_lived({}, files, lingers=True) is None


def test_it_can_be_asked_here():
    assert lifetime_here() is None or "--to kubernetes" in lifetime_here()
