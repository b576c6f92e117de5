"""One engine at a time has a database of records; whoever only reads is in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest

from cellyard.errors import RecordsInUse
from cellyard.records import open_records

HOLD = """
import sys
from cellyard.records import open_records
records = open_records(sys.argv[1], as_engine=True)
print("held", flush=True)
sys.stdin.readline()
"""


def test_the_second_is_refused_and_told_who_the_first_is(url):
    with open_records(url, as_engine=True) as first:
        with pytest.raises(RecordsInUse, match=f"process {os.getpid()} on .*cellyard engine stop"):
            open_records(url, as_engine=True)
        with open_records(url) as reader:
            assert reader.last_seq() == first.last_seq()
        with pytest.raises(RecordsInUse):  # a reader that leaves takes nothing of the claim along
            open_records(url, as_engine=True)
    open_records(url, as_engine=True).close()


def test_it_goes_with_a_holder_that_is_killed(url):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RecordsInUse, match=f"process {holder.pid} "):
            open_records(url, as_engine=True)
        holder.kill()
    records = None
    for _ in range(100):  # a server has to notice
        try:
            records = open_records(url, as_engine=True)
            break
        except RecordsInUse:
            continue
    assert records is not None
    records.close()


def test_another_schema_of_the_database_is_another(postgres_url):
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA other")
    other = f"{postgres_url}&options=-csearch_path%3Dother"
    with (
        open_records(postgres_url, as_engine=True),
        open_records(other, as_engine=True),
        pytest.raises(RecordsInUse),
    ):
        open_records(other, as_engine=True)
