"""The closed form, against small computations that go another way."""

import numpy as np
import pytest
from weightpatch.patches.errors import NonFinite
from weightpatch.patches.methods.locating.rank_one import Whitener


def sample(size=12, tokens=200):
    draw = np.random.default_rng(0)
    mixing = draw.normal(size=(size, size))
    keys = draw.normal(size=(tokens, size)) @ mixing
    return keys.T @ keys / tokens, draw.normal(size=size), draw.normal(size=7)


def test_the_update_is_the_formula_of_the_paper():
    moment, key, residual = sample()
    u = np.linalg.inv(moment) @ key
    expected = np.outer(residual, u) / (u @ key)
    found = np.outer(residual, Whitener(moment, 0.0).direction(key))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_update_disturbs_other_keys_least_of_all_that_do_the_same():
    """min ‖ΔC^½‖ over Δk = δ, solved by a pseudo-inverse in the coordinates C^½ gives."""
    moment, key, residual = sample()
    values, vectors = np.linalg.eigh(moment)
    root = vectors * np.sqrt(values) @ vectors.T
    whitened = np.linalg.solve(root, key)
    expected = np.outer(residual, np.linalg.pinv(whitened[:, None])) @ np.linalg.inv(root)
    found = np.outer(residual, Whitener(moment, 0.0).direction(key))
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    np.testing.assert_allclose(found @ key, residual, rtol=1e-12)


@pytest.mark.parametrize("shrinkage", [0.25, 1.0])
def test_shrinkage_mixes_in_the_identity_and_keeps_the_trace(shrinkage):
    moment, key, _ = sample()
    mixed = (1 - shrinkage) * moment + shrinkage * np.trace(moment) / 12 * np.eye(12)
    u = np.linalg.solve(mixed, key)
    np.testing.assert_allclose(Whitener(moment, shrinkage).direction(key), u / (u @ key), rtol=1e-9)
    assert np.trace(mixed) == pytest.approx(np.trace(moment))


def test_wholly_shrunk_the_direction_is_that_of_the_key():
    moment, key, _ = sample()
    np.testing.assert_allclose(Whitener(moment, 1.0).direction(key), key / (key @ key), rtol=1e-12)


def test_statistics_from_fewer_tokens_than_directions_need_shrinkage():
    moment, key, _ = sample(tokens=5)
    with pytest.raises(NonFinite, match="cannot be inverted") as refused:
        Whitener(moment - 1e-9 * np.eye(12), 0.0)
    assert "shrinkage" in refused.value.hint
    assert np.isfinite(Whitener(moment, 0.1).direction(key)).all()
