"""The Merkle tree: the roots of Certificate Transparency, and proofs that hold for nothing else."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.registry.ledger import merkle

# The inputs and roots with which every implementation of RFC 6962 is tested.
INPUTS = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [merkle.leaf_hash(str(index).encode()) for index in range(70)]


def by_definition(leaves: list[bytes]) -> bytes:
    """MTH, word for word as RFC 6962 writes it, over leaves that are hashed."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    left, right = by_definition(leaves[:half]), by_definition(leaves[half:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_the_roots_of_certificate_transparency():
    leaves = [merkle.leaf_hash(bytes.fromhex(text)) for text in INPUTS]
    for size, root in enumerate(ROOTS, 1):
        assert merkle.root_of(leaves[:size]).hex() == root


def test_a_growing_tree_has_the_root_of_the_definition_at_every_size():
    tree = merkle.Tree()
    for size, leaf in enumerate(LEAVES, 1):
        tree.add(leaf)
        assert (tree.size, tree.root()) == (size, by_definition(LEAVES[:size]))


def test_a_tree_without_leaves_has_no_root():
    with pytest.raises(ValueError, match="no root"):
        merkle.Tree().root()


@pytest.mark.parametrize("size", range(1, 70))
def test_every_proof_holds(size):
    leaves = LEAVES[:size]
    root = merkle.root_of(leaves)
    for index, leaf in enumerate(leaves):
        path = merkle.inclusion_proof(leaves, index, size)
        assert merkle.proves_inclusion(leaf, index, size, path, root)
        assert not merkle.proves_inclusion(LEAVES[-1], index, size, path, root)
    for old in range(1, size + 1):
        path = merkle.consistency_proof(leaves, old, size)
        older = merkle.root_of(leaves[:old])
        assert merkle.proves_growth(old, older, size, root, path)
        assert merkle.proves_growth(old, LEAVES[-1], size, root, path) is False


@given(st.data(), st.integers(2, 69))
def test_a_proof_of_an_entry_holds_for_nothing_else(data, size):
    index = data.draw(st.integers(0, size - 1))
    leaves = LEAVES[:size]
    root, path = merkle.root_of(leaves), merkle.inclusion_proof(leaves, index, size)
    place = data.draw(st.integers(0, len(path) - 1))
    byte = data.draw(st.integers(0, 31))
    flipped = [*path[:place], flip(path[place], byte), *path[place + 1 :]]
    other = data.draw(st.integers(-2, size + 2).filter(lambda number: number != index))
    wrong = [
        (leaves[index], index, size, flipped, root),
        (leaves[index], index, size, path[:-1], root),
        (leaves[index], index, size, [*path, root], root),
        (leaves[index], other, size, path, root),
        (leaves[index], index, size, path, flip(root, byte)),
        (flip(leaves[index], byte), index, size, path, root),
    ]
    assert not any(merkle.proves_inclusion(*case) for case in wrong)


@given(st.data(), st.integers(2, 69))
def test_a_proof_of_growth_holds_for_nothing_else(data, size):
    old = data.draw(st.integers(1, size - 1))
    leaves = LEAVES[:size]
    root, older = merkle.root_of(leaves), merkle.root_of(leaves[:old])
    path = merkle.consistency_proof(leaves, old, size)
    place = data.draw(st.integers(0, len(path) - 1))
    byte = data.draw(st.integers(0, 31))
    flipped = [*path[:place], flip(path[place], byte), *path[place + 1 :]]
    wrong = [
        (old, older, size, root, flipped),
        (old, older, size, root, path[:-1]),
        (old, older, size, root, [*path, root]),
        (old, flip(older, byte), size, root, path),
        (old, older, size, flip(root, byte), path),
        (size, root, old, older, path),
        (0, older, size, root, path),
        (size, older, size, root, []),
        (size, root, size, root, path),
    ]
    assert not any(merkle.proves_growth(*case) for case in wrong)


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_what_cannot_be_proved_is_refused():
    for index, size in [(-1, 3), (3, 3), (0, 0)]:
        with pytest.raises(ValueError, match="no leaf"):
            merkle.inclusion_proof(LEAVES, index, size)
    for old, size in [(0, 3), (4, 3)]:
        with pytest.raises(ValueError, match="did not grow"):
            merkle.consistency_proof(LEAVES, old, size)
    with pytest.raises(ValueError, match="fewer than"):
        merkle.inclusion_proof(LEAVES[:3], 0, 5)
