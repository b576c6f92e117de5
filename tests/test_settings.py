"""Settings: where each comes from, what is refused, and the folder of the engine."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest

from cellyard.errors import InvalidSettings
from cellyard.machine import machine_capacity
from cellyard.model import Resources
from cellyard.settings import MAX_SOCKET_PATH, Settings, load_settings, prepare_runtime

GIB = 1024**3


@pytest.fixture
def home(tmp_path):
    return tmp_path / "h"


def load(home: Path, **variables: str) -> Settings:
    return load_settings({"CELLYARD_HOME": str(home), **{f"CELLYARD_{k.upper()}": v for k, v in variables.items()}})


def write(home: Path, text: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "settings.toml").write_text(text, encoding="utf-8")


def test_a_home_holds_everything(home):
    settings = load(home)
    assert settings.store == str(home / "store")
    assert settings.records == f"sqlite:///{home / 'records.sqlite'}"
    assert settings.idle == 900
    assert (settings.cpu, settings.memory, settings.gpu, settings.backend) == (None, None, None, "local")


def test_reading_settings_writes_nothing(home):
    load(home)
    assert not home.exists()


def test_without_a_home_everything_is_in_the_users_own_folders():
    settings = load_settings({})
    assert Path(settings.store).is_absolute()
    assert settings.records.startswith("sqlite:///")
    assert re.fullmatch(r"[0-9a-f]{8}", settings.runtime.name)


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(home):
    write(home, 'cpu = 2\nmemory = "4GiB"\nidle = "10m"\n')
    settings = load(home, cpu="3", gpu="1")
    assert (settings.cpu, settings.memory, settings.idle, settings.gpu) == (3.0, 4 * GIB, 600.0, 1)


def test_the_engine_of_a_store_is_found_in_the_sessions_folder():
    # As short as such a folder is; in one with a long path there would be no room for a socket's name.
    with tempfile.TemporaryDirectory(prefix="cy-") as folder:
        given = {"XDG_RUNTIME_DIR": folder}
        one = load_settings({**given, "CELLYARD_STORE": "/data/one"})
        assert one.runtime.parent == Path(folder) / "cellyard"
        assert one.runtime == load_settings({**given, "CELLYARD_STORE": "/data/one"}).runtime
        assert one.runtime != load_settings({**given, "CELLYARD_STORE": "/data/two"}).runtime


def test_a_socket_always_fits_whatever_the_length_of_the_home(tmp_path):
    long = tmp_path / ("x" * 120)
    settings = load(long)
    assert len(os.fsencode(settings.socket)) <= MAX_SOCKET_PATH
    assert settings.runtime == load(long).runtime
    with pytest.raises(InvalidSettings, match="path of a socket"):
        load(tmp_path, runtime=str(long))


def test_settings_survive_their_dictionary_and_the_environment_of_another_process(home):
    for settings in (
        load(home),
        load(home, cpu="0.5", memory="1500MB", gpu="0", idle="3", store=str(home / "s")),
        load(home, store="s3://b-1/p", cache_size="3GB"),
    ):
        assert Settings.from_dict(settings.to_dict()) == settings
        assert load_settings(settings.to_env()) == settings


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("memory", "16000", "did you mean 16000MiB?"),
        ("cpu", "many", "this is not a number of CPUs"),
        ("gpu", "0.5", "GPUs are given whole"),
        ("idle", "0", "more than no time"),
        ("records", "/data/records.sqlite", "a database URL is needed"),
        ("records", "mysql://host/db", "a database URL is needed"),
        ("store", "gs://bucket/store", "a folder on this machine is needed, or s3://bucket/prefix"),
        ("store", "s3://Big_Bucket", "cannot be the name of a bucket"),
        ("store", "s3://bucket/a/../b", "empty or relative part"),
        ("store", "s3://bucket/a?cache=/tmp", "the settings cache and cache_size say"),
        ("store", "s3://bucket/a?region=x", "is not understood"),
        ("cache", "s3://bucket/cache", "a folder on this machine is needed"),
        ("cache_size", "20", "did you mean 20GiB?"),
        ("backend", "my backend", "the name of a backend"),
    ],
)
def test_a_variable_that_cannot_hold_is_named_with_its_value_and_the_reason(home, key, value, said):
    with pytest.raises(InvalidSettings) as caught:
        load(home, **{key: value})
    error = caught.value
    assert (error.key, error.value, error.origin) == (key, value, f"CELLYARD_{key.upper()}")
    assert said in str(error)


def test_credentials_in_the_stores_address_are_refused_and_not_shown(home):
    with pytest.raises(InvalidSettings, match="AWS_ACCESS_KEY_ID") as caught:
        load(home, store="s3://key:hunter2@bucket/store")
    assert "hunter2" not in str(caught.value)


def test_a_store_in_a_bucket_has_a_cache_on_this_machine(home):
    settings = load(home, store="s3://bucket/store/", cache_size="1GiB")
    assert settings.store == "s3://bucket/store"
    assert settings.store_address == f"s3://bucket/store?cache={home / 'cache'}&cache_size={GIB}"
    assert load(home, store="s3://bucket").store_address == f"s3://bucket?cache={home / 'cache'}"
    assert load(home, store="/data/store").store_address == "/data/store"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("memroy = 1", "there is no such setting. Did you mean 'memory'?"),
        ("zzz = 1", "there is no such setting. There are: store"),
        ("cpu = true", "a text or a number is needed"),
        ("cpu = [1]", "a text or a number is needed"),
        ("memory = 16000", "did you mean 16000MiB?"),
        ("cpu = ", "settings.toml"),
    ],
)
def test_a_file_that_cannot_hold_is_named(home, text, said):
    write(home, text)
    with pytest.raises(InvalidSettings) as caught:
        load(home)
    assert said in str(caught.value)
    assert caught.value.origin == str(home / "settings.toml")


def test_the_runtime_folder_is_made_for_its_owner_only(home):
    settings = load(home)
    folder = prepare_runtime(settings)
    assert folder == settings.runtime
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    assert prepare_runtime(settings).stat().st_mode & 0o777 == 0o700


def test_a_runtime_folder_that_is_a_link_is_refused(home, tmp_path):
    settings = load(home)
    settings.runtime.parent.mkdir(parents=True)
    settings.runtime.symlink_to(tmp_path)
    with pytest.raises(InvalidSettings, match="not a folder of its own"):
        prepare_runtime(settings)


@pytest.mark.parametrize(
    ("files", "capacity"),
    [
        ({}, (64.0, 16 * GIB)),
        ({"memory.max": f"{2 * GIB}\n", "cpu.max": "max 100000\n"}, (64.0, 2 * GIB)),
        ({"slice/memory.max": f"{GIB}\n", "memory.max": f"{2 * GIB}\n"}, (64.0, GIB)),
        ({"slice/cpu.max": "50000 100000\n", "memory.max": "max\n"}, (0.5, 16 * GIB)),
        ({"memory/memory.limit_in_bytes": f"{GIB}\n"}, (64.0, GIB)),
        ({"memory/job/memory.limit_in_bytes": "9223372036854771712\n"}, (64.0, 16 * GIB)),
        ({"cpu/job/cpu.cfs_quota_us": "25000\n", "cpu/job/cpu.cfs_period_us": "100000\n"}, (0.25, 16 * GIB)),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, (64.0, 16 * GIB)),
    ],
)
def test_the_capacity_is_the_least_of_what_hardware_and_cgroups_give(tmp_path, home, files, capacity):
    proc = tmp_path / "proc" / "self"
    proc.mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text(f"MemFree: 1 kB\nMemTotal:   {16 * GIB // 1024} kB\n")
    (proc / "cgroup").write_text("4:memory:/job\n3:cpu,cpuacct:/job\n0::/slice\n")
    for name, text in files.items():
        file = tmp_path / "sys" / "fs" / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    quota, memory = capacity
    cpu = min(quota, len(os.sched_getaffinity(0)))
    assert machine_capacity(load(home), root=tmp_path) == Resources(cpu, memory)


def test_gpus_are_counted_by_their_devices(tmp_path, home):
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev" / name).touch()
    assert machine_capacity(load(home), root=tmp_path).gpu == 2


def test_the_settings_stand_in_for_the_machine(home):
    settings = load(home, cpu="64", memory="1TiB", gpu="8")
    assert machine_capacity(settings) == Resources(64.0, 1024 * GIB, 8)


def test_this_machine_has_something_to_give(home):
    found = machine_capacity(load(home))
    assert found.cpu > 0
    assert found.memory is not None
    assert found.memory > 0
