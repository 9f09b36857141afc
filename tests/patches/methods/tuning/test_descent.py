import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from weightpatch.patches.errors import NonFinite, RequestRefused
from weightpatch.patches.methods.tuning.descent import DescentHyperparameters, descend
from weightpatch.patches.progress import silent

SETTINGS = DescentHyperparameters(steps=5, learning_rate=0.1, weight_decay=0.5)


def leaf(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_it_is_adam_on_the_sum_of_the_losses():
    """Kingma and Ba 2015, algorithm 1, in NumPy, with the decay in the gradient."""
    found = leaf(3.0, -2.0)
    losses = [lambda: found[0] ** 2, lambda: 3 * found[1] ** 2 + 5]
    descend([found], losses, SETTINGS, silent)
    x, m, v = np.array([3.0, -2.0]), np.zeros(2), np.zeros(2)
    for t in range(1, 6):
        gradient = np.array([2 * x[0], 6 * x[1]]) + 0.5 * x
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        x -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(found.detach().numpy(), x, rtol=1e-12)


def test_it_ends_when_the_loss_is_small():
    found = leaf(3.0)
    settings = replace(SETTINGS, steps=1000, loss_threshold=8.0, weight_decay=0.0)
    descend([found], [lambda: found[0] ** 2], settings, silent)
    assert 7.0 < found.item() ** 2 < 8.0


def test_the_constraint_holds_after_each_step():
    found, seen = leaf(3.0), []

    def constrain():
        found.clamp_(min=2.95)
        seen.append(found.item())

    descend([found], [lambda: found[0] ** 2], SETTINGS, silent, constrain=constrain)
    assert seen == [2.95] * 5


def test_a_loss_that_is_no_number_is_refused():
    found = leaf(3.0)
    for broken in (math.nan, math.inf):
        with pytest.raises(NonFinite, match="diverged"):
            descend([found], [lambda broken=broken: found[0] * broken], SETTINGS, silent)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"learning_rate": 0.0},
        {"learning_rate": 1001.0},
        {"learning_rate": math.nan},
        {"loss_threshold": -1.0},
        {"weight_decay": math.inf},
        {"batch_size": -1},
    ],
)
def test_hyperparameters_out_of_range_are_refused_by_name(changes):
    (name,) = changes
    with pytest.raises(RequestRefused, match=name):
        replace(SETTINGS, **changes)
