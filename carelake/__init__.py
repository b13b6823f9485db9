"""Carelake: what customers said, on every channel, in one warehouse."""

__version__ = "0.1.0"
