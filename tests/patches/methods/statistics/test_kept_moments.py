"""What a second moment cannot be is estimated anew, although its file is whole."""

import json

import numpy as np
import pytest
from weightpatch.patches.format.safetensors_file import METADATA_KEY, read_tensors
from weightpatch.patches.methods.statistics.keeping import Kept
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics

WRONG = {
    "not float32": lambda matrix: matrix.astype(np.float64),
    "of another layer": lambda matrix: matrix[:-1, :-1],
    "a row": lambda matrix: matrix[0],
    "not finite": lambda matrix: np.full_like(matrix, np.nan),
    "infinite": lambda matrix: np.full_like(matrix, np.inf),
    "not symmetric": lambda matrix: np.triu(matrix) * 2,
}


@pytest.mark.parametrize("what", WRONG)
def test_a_kept_matrix_that_cannot_be_one_is_estimated_anew(llama, tmp_path, what):
    expected = KeyStatistics(tmp_path).second_moments(llama, [1], 500)[1].matrix
    for file in tmp_path.iterdir():
        tensors, metadata = read_tensors(file)
        if "second_moment" in tensors:
            key = json.loads(metadata[METADATA_KEY])
            del key["sha256"]
            wrong = np.ascontiguousarray(WRONG[what](tensors["second_moment"]))
            before = file.read_bytes()
            Kept(tmp_path).write("second_moment", key, wrong)
            assert file.read_bytes() != before
    found = KeyStatistics(tmp_path).second_moments(llama, [1], 500)[1].matrix
    np.testing.assert_array_equal(found, expected)
