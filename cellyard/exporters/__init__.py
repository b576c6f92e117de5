"""What carries a notebook elsewhere, to run there without the person who wrote it.

base        the contract of an exporter, and what crosses it
registry    exporters by name
bundle      the pipeline as files that run anywhere; with bundle_needs, bundle_reading, bundle_readme beside it
kubernetes  a CronJob that runs the notebook inside the cluster, its steps on pods of their own. Pure
"""

from __future__ import annotations

from cellyard.exporters.base import Export, Exporter, ExporterFacts, ExportRequest
from cellyard.exporters.registry import create_exporter, exporter_names
from cellyard.schedules.cron import Schedule

__all__ = ["Export", "ExportRequest", "Exporter", "ExporterFacts", "Schedule", "create_exporter", "exporter_names"]
