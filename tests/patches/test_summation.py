"""The one sum: the same bits whatever the blocking and the order, and the bits of the contract."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operation_strategies import many_lowranks, sums
from weightpatch.patches import summation
from weightpatch.patches.digests import sha256
from weightpatch.patches.errors import NonFinite
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.replace import Replace
from weightpatch.patches.operations.sparse import Sparse
from weightpatch.patches.operations.widen import Widen
from weightpatch.patches.summation import patched, patched_rows, patched_tensor


def one(value: float, dtype: str, delta: float) -> float:
    """W + Δ for a single number."""
    bits = np.array([value], np.float16 if dtype == "F16" else np.float32)
    stored = (bits.view("<u4") >> 16).astype("<u2") if dtype == "BF16" else bits
    result = patched(stored, dtype, [Dense(np.array([delta], np.float32))])
    wide = (result.astype("<u4") << 16).view("<f4") if dtype == "BF16" else result
    return float(wide[0])


@given(sums())
@settings(max_examples=500, deadline=None)
def test_the_bits_are_those_of_the_contract(reference, case):
    require_the_bits_of(reference, case)


@given(many_lowranks())
@settings(max_examples=300, deadline=None)
def test_many_terms_give_the_bits_of_the_contract(reference, case):
    require_the_bits_of(reference, case)


@given(many_lowranks())
@settings(max_examples=300, deadline=None)
def test_the_filter_gives_the_bits_of_the_contract_whatever_the_terms(reference, case):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summation, "pays", lambda *_: True)
        require_the_bits_of(reference, case)


def require_the_bits_of(reference, case):
    """The same bits, or refused by both."""
    bits, dtype, operations = case
    try:
        expected = reference.patched(bits, dtype, operations)
    except OverflowError:
        with pytest.raises(NonFinite):
            patched(bits, dtype, operations)
        return
    assert patched(bits, dtype, operations).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("value", "dtype", "delta", "expected"),
    [
        (1.0, "BF16", 2**-8, 1.0),
        (1 + 2**-7, "BF16", 2**-8, 1 + 2**-6),
        (1.0, "BF16", 2**-8 + 2**-23, 1 + 2**-7),
        (1.0, "BF16", 2**-8 + 2**-31, 1.0),
        (1.0, "F16", 2**-11, 1.0),
        (1 + 2**-10, "F16", 2**-11, 1 + 2**-9),
        (1.0, "F32", 2**-24, 1.0),
        (1 + 2**-23, "F32", 2**-24, 1 + 2**-22),
        (0.0, "BF16", 2**-134, 0.0),
        (2**-133, "BF16", 2**-134, 2**-132),
        (0.0, "F16", 2**-25, 0.0),
        (2**-24, "F16", 2**-25, 2**-23),
        (2**-149, "F32", -(2**-149), 0.0),
    ],
)
def test_ties_go_to_the_even_neighbour(value: float, dtype: str, delta: float, expected: float):
    # The fourth is a tie only after the rounding to float32, which the contract says comes first.
    assert one(value, dtype, delta) == expected


@pytest.mark.parametrize(
    ("largest", "dtype", "delta"),
    [
        (3.4028234663852886e38, "F32", 1e32),
        (65504.0, "F16", 16.0),
        (3.3895313892515355e38, "BF16", 6.7e35),
    ],
)
def test_a_sum_beyond_the_type_is_refused(largest: float, dtype: str, delta: float):
    assert one(largest, dtype, delta / 10) == largest
    with pytest.raises(NonFinite):
        one(largest, dtype, delta)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_a_weight_that_is_no_number_is_refused(dtype: str, value: float):
    with pytest.raises(NonFinite):
        one(value, dtype, 1.0)


def test_factors_whose_product_overflows_are_refused():
    big = np.full((1, 1), 2.0**100, np.float32)
    with pytest.raises(NonFinite):
        patched(np.ones((1, 1), np.float32), "F32", [LowRank(big, big)])


@given(sums() | many_lowranks(), st.integers(1, 20))
@settings(max_examples=150, deadline=None)
def test_the_blocks_do_not_matter(case, size: int):
    bits, dtype, operations = case
    with pytest.MonkeyPatch.context() as patch:
        try:
            whole = patched(bits, dtype, operations)
        except NonFinite:
            return
        patch.setattr(summation, "BLOCK_ELEMENTS", size)
        patch.setattr(summation, "STRIP_ELEMENTS", 1 + size // 3)
        assert patched(bits, dtype, operations).tobytes() == whole.tobytes()


def test_the_cut_of_large_matrices_does_not_matter():
    random = np.random.default_rng(0)
    operation = LowRank.snapped(random.standard_normal((300, 7)), random.standard_normal((7, 200)))
    bits = random.standard_normal((300, 200), np.float32)
    whole = patched(bits, "F32", [operation])
    for step in (1, 3, 64, 299):
        parts = [
            patched_rows(bits[start : start + step], "F32", [operation], start)
            for start in range(0, 300, step)
        ]
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_the_sign_of_a_zero_delta_does_not_matter():
    zero = np.zeros((1, 2), np.float32)
    for delta in (zero, -zero):
        result = patched(-zero, "F32", [Dense(delta)])
        assert not np.signbit(result).any()


def test_a_vector_keeps_its_shape():
    bits = np.ones(5, np.float32)
    assert patched(bits, "F32", [Dense(bits)]).tolist() == [2.0] * 5


def test_the_base_stays_as_it_is():
    bits = np.ones((2, 2), np.float32)
    patched(bits, "F32", [Dense(bits.copy())])
    assert (bits == 1).all()


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("size", [1, 7, 1 << 18])
def test_a_tensor_on_disk_is_patched_block_by_block(pico, monkeypatch, dtype: str, size: int):
    monkeypatch.setattr(summation, "BLOCK_ELEMENTS", size)
    base = pico.base(dtype=dtype)
    shape = (6, 10)
    operations = [pico.lowrank(shape, rank=3), pico.dense(shape), pico.sparse(shape)]
    tensor = patched_tensor(base.array(pico.DOWN), dtype, operations)
    found = b"".join(block.tobytes() for block in summation.stream(tensor))
    assert found == patched(base.read(pico.DOWN), dtype, operations).tobytes()


def test_memory_is_bounded_by_a_block(pico, monkeypatch):
    monkeypatch.setattr(summation, "BLOCK_ELEMENTS", 1 << 14)
    shape = (8192, 1024)
    base = pico.base_of({"weight": np.ones(shape, np.float32)})
    operation = LowRank.snapped(np.ones((shape[0], 1)), np.ones((1, shape[1])))
    tensor = patched_tensor(base.array("weight"), "F32", [operation])
    tracemalloc.start()
    for _ in summation.stream(tensor):
        pass
    summation.norm(base, "weight")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < tensor.nbytes / 4


def test_digests_of_results_are_those_of_the_bytes(pico):
    base = pico.base()
    operations = {pico.DOWN: [pico.lowrank((6, 10))], pico.NORM: [pico.dense((6,))]}
    tensors = {
        name: patched_tensor(base.array(name), base.tensors[name].dtype, found)
        for name, found in operations.items()
    }
    assert summation.result_digests(tensors) == {
        name: sha256(patched(base.read(name), base.tensors[name].dtype, found).tobytes())
        for name, found in operations.items()
    }


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_the_norm_is_that_of_all_values(pico, monkeypatch, dtype: str, reference):
    monkeypatch.setattr(summation, "BLOCK_ELEMENTS", 7)
    base = pico.base(dtype=dtype)
    values = [reference.value(bits, dtype) for bits in base.read(pico.DOWN).ravel()]
    assert summation.norm(base, pico.DOWN) == pytest.approx(np.sqrt(np.sum(np.square(values))))


def test_a_digest_of_bits_is_that_of_the_file():
    bits = np.arange(6, dtype="<u2").reshape(2, 3)
    assert summation.bits_digest(bits.T) == sha256(bits.T.tobytes())


NEGATIVE_ZERO = {"F32": 0x8000_0000, "F16": 0x8000, "BF16": 0x8000}
UNSIGNED = {"F32": "<u4", "F16": "<u2", "BF16": "<u2"}
STORED = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@pytest.mark.parametrize("kind", [Sparse, Replace])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_negative_zeros_that_are_not_listed_stay_negative(kind, dtype: str):
    bits = np.full((2, 3), NEGATIVE_ZERO[dtype], UNSIGNED[dtype])
    parts = {"indices": np.array([1, 5], "<i4"), "values": np.zeros(2, np.float32)}
    found = patched(bits.view(STORED[dtype]), dtype, [kind.read(parts, (2, 3))])
    assert found.view(UNSIGNED[dtype]).ravel().tolist() == [
        0 if place in (1, 5) else NEGATIVE_ZERO[dtype] for place in range(6)
    ]


@pytest.mark.parametrize("kind", [Sparse, Replace])
def test_a_weight_that_is_no_number_and_not_listed_is_left_alone(kind):
    bits = np.array([[np.nan, 1.0, -np.inf]], np.float32)
    parts = {"indices": np.array([1], "<i8"), "values": np.array([2.0], np.float32)}
    found = patched(bits, "F32", [kind.read(parts, (1, 3))])
    assert found.tobytes()[:4] == bits.tobytes()[:4]
    assert found[0, 1] == {"sparse": 3, "replace": 2}[kind.kind]
    assert found[0, 2] == -np.inf


def test_two_patches_may_list_the_same_entry():
    bits = np.zeros((1, 3), np.float32)
    terms = [
        Sparse.read(
            {"indices": np.array(indices, "<i4"), "values": np.array(values, "<f4")}, (1, 3)
        )
        for indices, values in (([0, 1], [1, 2]), ([1, 2], [4, 8]))
    ]
    assert patched(bits, "F32", terms).tolist() == [[1, 6, 8]]


@pytest.mark.parametrize(("dtype", "value"), [("F16", 65520.0), ("BF16", 3.4e38)])
def test_a_new_value_that_does_not_fit_the_type_is_refused(dtype: str, value: float):
    bits = np.zeros((1, 1), STORED[dtype])
    with pytest.raises(NonFinite):
        patched(bits, dtype, [Replace.read({"values": np.full((1, 1), value, "<f4")}, (1, 1))])


@pytest.mark.parametrize("kept", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize(("part", "shape"), [("rows", (2, 10)), ("columns", (6, 3))])
def test_a_tensor_is_changed_and_widened_as_the_contract_says(
    pico, reference, dtype: str, kept: str, part: str, shape: tuple[int, int]
):
    bits = pico.tensors(dtype)[pico.DOWN]
    terms = [
        Widen.read({part: pico.values(shape, kept, 3)}, bits.shape),
        pico.lowrank(bits.shape, rank=2),
        Widen.read({part: pico.values(shape, kept, 4)}, bits.shape),
    ]
    expected = reference.patched(bits, dtype, terms)
    assert patched(bits, dtype, terms).tobytes() == expected.tobytes()
    assert expected.shape == ((10, 10) if part == "rows" else (6, 16))
