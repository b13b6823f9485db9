"""Kill a run where it hurts, run once more, and find what an undisturbed run gives."""
