"""Moving: what belongs to a notebook follows it to its new path."""

from __future__ import annotations

from sqlalchemy import Table, func, literal, select, update

from cellyard.model.moving import Moving, session_of_kernel
from cellyard.records.database import Database
from cellyard.records.schema import cached_results, runs, schedules

__all__ = ["MovingRecords"]

_BY_PATH: tuple[Table, ...] = (runs, cached_results, schedules)


class MovingRecords:
    """The part of :class:`~cellyard.records.Records` that knows where notebooks are."""

    _database: Database

    def move_notebook(self, moving: Moving) -> None:
        """Runs, results and schedules that are the notebook's have its new path."""
        with self._database.write() as connection:
            for table in _BY_PATH if moving.before else ():
                path = table.c.notebook
                rest = func.substr(path, len(moving.before) + 1)
                within = path.startswith(f"{moving.before}/", autoescape=True)
                connection.execute(
                    update(table)
                    .where((path == moving.before) | within)
                    .values(notebook=literal(moving.notebook).concat(rest))
                )
            if moving.kernel:
                ours = runs.c.session.startswith(session_of_kernel(moving.kernel), autoescape=True)
                elsewhere = select(runs.c.id).where(ours, runs.c.notebook != moving.notebook)
                connection.execute(
                    update(cached_results)
                    .where(cached_results.c.run_id.in_(elsewhere))
                    .values(notebook=moving.notebook)
                )
                connection.execute(
                    update(runs).where(ours, runs.c.notebook != moving.notebook).values(notebook=moving.notebook)
                )
