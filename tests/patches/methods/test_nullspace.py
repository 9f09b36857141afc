"""AlphaEdit says how much of the keys' energy its projection has left."""

import numpy as np
import pytest
from method_fixtures import ACTOR, MARIE
from weightpatch.patches.methods.alphaedit import AlphaEdit, AlphaEditHyperparameters, NullSpace
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.progress import silent


def test_directions_and_their_share_of_the_trace():
    values = np.array([8.0, 1.0, 0.5, 0.5])  # the mean is 2.5
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    found = NullSpace(rotation @ np.diag(values) @ rotation.T, 0.3).described()
    assert found == {"directions": 2, "energy": 0.1}


@pytest.mark.parametrize("threshold", [0.5, 2.0])
def test_an_edit_records_them_by_layer(llama, threshold):
    settings = AlphaEditHyperparameters(
        layers=(0, 1), prefixes=0, steps=2, statistics_tokens=500, nullspace_threshold=threshold
    )
    resources = Resources(KeyStatistics())
    edits = [
        AlphaEdit().edit(
            llama, [MARIE, ACTOR], settings, seed=seed, resources=resources, progress=silent
        )
        for seed in (0, 1)
    ]
    assert edits[0].sampled["nullspace"] == edits[1].sampled["nullspace"]
    moments = resources.statistics.second_moments(llama, (0, 1), 500)
    for layer, told in zip((0, 1), edits[0].sampled["nullspace"], strict=True):
        values = np.linalg.eigvalsh(moments[layer].matrix.astype(np.float64))
        small = values[values < threshold * values.mean()]
        assert told["module"] == f"model.layers.{layer}.mlp.down_proj"
        assert told["directions"] == len(small)
        assert told["energy"] == pytest.approx(small.sum() / values.sum(), abs=1e-6)
