"""Chance that can be repeated: one stream of random numbers for each concern."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def stream(seed: int, *concern: str | int) -> random.Random:
    """Return a generator of its own for one concern.

    Text seeds are hashed by SHA-512 inside `random`, so the numbers depend neither on
    `PYTHONHASHSEED` nor on what other concerns draw: adding one shifts none of the others.
    """
    return random.Random("/".join(str(part) for part in (seed, *concern)))


def poisson(rng: random.Random, mean: float) -> int:
    """Draw a count from a Poisson distribution (mean below about 500)."""
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def sigmoid(x: float) -> float:
    """Bring any number to 0..1."""
    return 1.0 / (1.0 + math.exp(-x))


def pick(rng: random.Random, weights: Mapping[T, float]) -> T:
    """Draw one key in proportion to its weight."""
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def shuffled(rng: random.Random, items: Sequence[T]) -> list[T]:
    """Return the items in random order, leaving the argument as it is."""
    return rng.sample(list(items), len(items))
