"""The Merkle tree of RFC 6962 over the ledger, with its two proofs, in one pass and little memory.

A leaf is sha256(0x00 ‖ body), a node sha256(0x01 ‖ left ‖ right), and the left half of a tree of n
leaves has the largest power of two below n. A tree here has at least one leaf.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

Span = tuple[int, int]
"""The leaves from the first number up to, not with, the second."""


def leaf_hash(body: bytes) -> bytes:
    """Hash of one entry's body, as a leaf (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + body).digest()


class Tree:
    """A tree that grows leaf by leaf, and keeps one hash for each bit of its size."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Put a leaf's hash at the end."""
        size = self.size
        while size & 1:  # as many complete trees of the same size as a carry passes ones
            leaf = _node(self._peaks.pop(), leaf)
            size >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Hash of the whole tree as it is now; ValueError for one without leaves."""
        if not self._peaks:
            raise ValueError("a tree without leaves has no root here")
        *rest, root = self._peaks
        for peak in reversed(rest):
            root = _node(peak, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, of leaves that are hashed already; ValueError if there are none."""
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def inclusion_proof(leaves: Iterable[bytes], index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962, 2.1.1: the hashes that lead from a leaf to the root.

    ValueError if the tree has no leaf `index`, or there are fewer than `size` leaves.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    return _roots(leaves, list(_path(index, 0, size)))


def consistency_proof(leaves: Iterable[bytes], old_size: int, size: int) -> list[bytes]:
    """PROOF(old_size, D[size]) of RFC 6962, 2.1.2: that the tree grew out of an older one.

    ValueError if the older tree is larger or empty, or there are fewer than `size` leaves.
    """
    if not 1 <= old_size <= size:
        raise ValueError(f"a tree of {size} leaves did not grow from one of {old_size}")
    return _roots(leaves, list(_subproof(old_size, 0, size, whole=True)))


def proves_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Whether the leaf stands at `index` in the tree with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for node in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = _node(node, found)
            place, last = _up_to_odd(place, last)
        else:
            found = _node(found, node)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def proves_growth(
    old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether the tree with `root` grew out of that with `old_root` (RFC 9162, 2.1.4.2)."""
    if not 1 <= old_size <= size:
        return False
    if old_size == size:
        return not path and old_root == root
    nodes = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    if not nodes:
        return False
    place, last = old_size - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = _node(node, old), _node(node, new)
            place, last = _up_to_odd(place, last)
        else:
            new = _node(new, node)
        place, last = place >> 1, last >> 1
    return last == 0 and old == old_root and new == root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _up_to_odd(place: int, last: int) -> Span:
    """Climb while the node has no brother: at the right edge of a tree that is not complete."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _half(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _path(index: int, start: int, stop: int) -> Iterator[Span]:
    if stop - start == 1:
        return
    middle = start + _half(stop - start)
    if index < middle:
        yield from _path(index, start, middle)
        yield middle, stop
    else:
        yield from _path(index, middle, stop)
        yield start, middle


def _subproof(old_size: int, start: int, stop: int, *, whole: bool) -> Iterator[Span]:
    """The spans of SUBPROOF; `whole` while the part is one that the older tree had as such."""
    if old_size == stop:
        if not whole:
            yield start, stop
        return
    middle = start + _half(stop - start)
    if old_size <= middle:
        yield from _subproof(old_size, start, middle, whole=whole)
        yield middle, stop
    else:
        yield from _subproof(old_size, middle, stop, whole=False)
        yield start, middle


def _roots(leaves: Iterable[bytes], spans: Sequence[Span]) -> list[bytes]:
    """The root over each of some spans that do not overlap, reading the leaves once, in order."""
    stream, place, found = iter(leaves), 0, {}
    for start, stop in sorted(spans):
        tree = Tree()
        for leaf in islice(stream, start - place, stop - place):
            tree.add(leaf)
        if tree.size != stop - start:
            raise ValueError(f"there are fewer than {stop} leaves")
        found[start, stop] = tree.root()
        place = stop
    return [found[span] for span in spans]
