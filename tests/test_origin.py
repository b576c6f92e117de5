"""Who starts a run, and from which commit."""

from __future__ import annotations

import subprocess

from cellyard.origin import origin_of


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_what_git_says_and_a_change_is_seen(tmp_path):
    repository, notebook = tmp_path / "r", tmp_path / "r" / "sub" / "n.ipynb"
    notebook.parent.mkdir(parents=True)
    assert origin_of(notebook).commit is None
    git(repository, "init", "-q")
    assert origin_of(notebook).commit is None
    notebook.write_text("one")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "one")
    first = git(repository, "rev-parse", "HEAD")
    found = origin_of(notebook, compare=True)
    assert (found.commit, found.changed) == (first, False)
    notebook.write_text("two")
    assert origin_of(notebook, compare=True).changed is True
    assert origin_of(notebook).changed is None
    git(repository, "commit", "-aq", "-m", "two")
    git(repository, "pack-refs", "--all")
    assert origin_of(notebook).commit == git(repository, "rev-parse", "HEAD") != first
    git(repository, "checkout", "-q", first)
    assert origin_of(notebook).commit == first
    git(repository, "worktree", "add", "-q", str(tmp_path / "w"), "main")
    assert origin_of(tmp_path / "w" / "sub" / "n.ipynb").commit == git(repository, "rev-parse", "main")


def test_a_session_without_a_file_has_an_owner_alone():
    found = origin_of("kernel-abc")
    assert found.owner
    assert found.commit is None
