from __future__ import annotations

from collections.abc import Callable

import pytest

from carelake.settings import Context
from tests import small_marts


@pytest.fixture
def ctx(make_context: Callable[..., Context]) -> Context:
    """A home whose warehouse holds two small marts, as a build would leave it."""
    ctx = make_context("sources: []", settings="kept_versions: 3")
    small_marts.make(ctx)
    return ctx
