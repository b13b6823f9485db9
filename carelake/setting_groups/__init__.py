"""The parts of `carelake.yml` that have keys of their own, one module each."""
