"""Keeping a home: backup and restore, retention, room on the disk, metrics."""
