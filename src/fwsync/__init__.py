"""Async, high-throughput ingestion and sync for Flywheel imaging sites."""

__version__ = "0.1.0"
