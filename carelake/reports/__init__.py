"""What people read: the summary of a run, the state of a home."""
