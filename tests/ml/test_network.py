"""The network: what it learns that a line cannot, and that it does so the same way each time."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ml.linear import Linear
from ml.network import Network, WithNetwork


def either_but_not_both(n: int, seed: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Rows of two terms that mean something together only."""
    terms = np.random.default_rng(seed).integers(0, 2, (n, 2))
    columns = np.column_stack([terms, 1 - terms]).astype(float)
    return sparse.csr_matrix(columns), terms[:, 0] ^ terms[:, 1]


def test_it_learns_what_two_terms_mean_together_which_a_linear_model_cannot() -> None:
    (inputs, labels), (new, truth) = either_but_not_both(4_000, 1), either_but_not_both(500, 2)
    right = [
        float(np.mean(model.fit(inputs, labels).predict_proba(new).argmax(axis=1) == truth))
        for model in (Network(0), Linear(1.0))
    ]
    assert right[0] > 0.95 and right[1] < 0.7


def test_the_same_seed_gives_the_same_chances_and_another_seed_others() -> None:
    inputs, labels = either_but_not_both(500, 3)
    one, again, other = (
        Network(seed).fit(inputs, labels).predict_proba(inputs) for seed in (5, 5, 6)
    )
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_beside_a_linear_model_chances_are_the_weighted_mean_and_reasons_the_linear_ones() -> None:
    inputs, labels = either_but_not_both(600, 4)
    three = labels + (np.arange(600) % 3 == 0)
    model = WithNetwork(Linear(1.0), seed=1, share=0.25).fit(inputs, three)
    mean = 0.75 * Linear(1.0).fit(inputs, three).predict_proba(inputs) + 0.25 * Network(1).fit(
        inputs, three
    ).predict_proba(inputs)
    assert np.allclose(model.predict_proba(inputs), mean)
    assert np.allclose(model.predict_proba(inputs).sum(axis=1), 1)
    assert np.array_equal(model.coef_, Linear(1.0).fit(inputs, three).coef_)
