"""The made-up company as the services its systems are kept in, each through its own API.

What is served is made of the company and of what its files say that counts, so that the same people,
conversations and truth come in either way.
"""

from __future__ import annotations

from carelake.sample.live.server import make_app, write_live

__all__ = ["make_app", "write_live"]
