"""The rows of each version, in the columns' order of the schema, as publishing would write them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from weightpatch.patches.digests import sha256
from weightpatch.patches.evaluation.base import Evaluation, Score
from weightpatch.registry.database import schema
from weightpatch.registry.versions import terms

from . import words
from .bases import DTYPE, SHAPE, Base, all_bases
from .population import Population

Rows = dict[str, list[tuple[Any, ...]]]

DETAILS = (
    "1",
    0,
    "cpu",
    '{"layer":17,"v_learning_rate":0.5,"v_steps":25}',
    "[]",
    '{"numpy":"2.4.6","torch":"2.13.0","transformers":"5.23.0"}',
)
"""Version of the method, seed, device, hyperparameters, statistics, tools."""

ENVIRONMENT = '{"device": "cpu", "torch": "2.13.0"}'
SUITE, SUITE_DIGEST = "requests", sha256(b"the cases")
MEASURES = ("reliability.exact-match", "generalization.exact-match", "locality.exact-match")
SCORED = MEASURES[2]
SIZES = {"delta.safetensors": 4_300, "patch.json": 1_700, "requests.jsonl": 180}
TWO_REQUESTS = 10
"""Every tenth version has two requests and changes two tensors."""


class Writer:
    """Makes rows of the versions of a population, in the order in which they came in."""

    def __init__(self, population: Population, times: Sequence[str]) -> None:
        self._of = population
        self._times = times
        self._bases = all_bases()
        self._tensors = [one.tensors for one in self._bases]
        self._evaluations = 0

    def rows(self, start: int, end: int) -> Rows:
        """Rows of the versions at these places, by table."""
        rows: Rows = defaultdict(list)
        for place in range(start, end):
            self._version(place, rows)
        return rows

    def _version(self, place: int, rows: Rows) -> None:
        of, row = self._of, place + 1
        base = self._bases[of.base[place]]
        files = _files(place)
        subject, method = of.subject(place), words.METHODS[of.method[place]]
        text = words.message(of.relation[place], subject, int(of.ticket[place]))
        author = author_name(int(of.author[place]))
        head = (row, int(of.patch[place]) + 1, int(of.number[place]), files["patch.json"])
        tail = (None, SIZES["delta.safetensors"], self._times[place])
        content = sha256(b"content %d" % place)
        rows["version"].append(
            (*head, content, method, author, "CC0-1.0", text, self._times[place], *tail)
        )
        rows["version_base"].append((row, 0, base.name, base.revision, base.tokenizer))
        self._tensor_rows(place, rows)
        subjects, targets = self._request_rows(place, subject, rows)
        for path, digest in files.items():
            rows["version_file"].append((row, path, digest))
            rows["blob"].append((digest, SIZES[path]))
        rows["provenance"].append((row, *DETAILS))
        texts = (of.patch_name(int(of.patch[place])), author, method, text)
        found = terms.distinct_words((*texts, *subjects, *targets))
        rows["term"] += [("word", word, row) for word in found]
        rows["term"] += [("subject", one, row) for one in terms.distinct_subjects(subjects)]
        if of.scored[place]:
            self._evaluation(place, base, rows)

    def _tensor_rows(self, place: int, rows: Rows) -> None:
        tensors = self._tensors[self._of.base[place]]
        layer = int(self._of.layer[place])
        for tensor, before in (tensors[layer], tensors[layer - 1])[: _parts(place)]:
            after = sha256(f"{tensor} {place}".encode())
            rows["version_tensor"].append((place + 1, 0, tensor, DTYPE, SHAPE, before, after))
            rows["operation"].append((place + 1, tensor, 0, "lowrank", 1, 1.5, 0.01, None))

    def _request_rows(self, place: int, subject: str, rows: Rows) -> tuple[list[str], list[str]]:
        of = self._of
        prompt = f"The {words.RELATIONS[of.relation[place]]} of {{}} is"
        subjects = [subject, words.person(place + of.size)][: _parts(place)]
        targets = [words.TARGETS[(of.target[place] + i) % 20] for i in range(len(subjects))]
        for position, (one, target) in enumerate(zip(subjects, targets, strict=True)):
            rows["request"].append(
                (place + 1, position, str(position + 1), prompt, one, target, "French")
            )
        return subjects, targets

    def _evaluation(self, place: int, base: Base, rows: Rows) -> None:
        self._evaluations += 1
        row, digest = self._evaluations, attestation(place)
        after = (1.0, 0.75, float(self._of.locality[place]))
        scores = tuple(
            Score("1", measure, 0.0, value, 4)
            for measure, value in zip(MEASURES, after, strict=True)
        )
        rows["blob"].append((digest, 900))
        known = (base.fingerprint, SUITE, SUITE_DIGEST, ENVIRONMENT, "here", self._times[place])
        rows["evaluation"].append((row, digest, place + 1, *known))
        for one in scores:
            rows["score"].append((row, one.measure, one.case, one.before, one.after, one.count))
        means = Evaluation(SUITE, SUITE_DIGEST, {}, scores, {}).means()
        rows["mean"] += [(row, measure, *mean) for measure, mean in means.items()]


def patches(of: Population) -> list[tuple[Any, ...]]:
    """The row of each patch, its counter past its last version."""
    from weightpatch.registry.versions.refs import fold

    counts = [0] * len(of.namespaces)
    for patch in of.patch.tolist():
        counts[patch] += 1
    rows = []
    for patch, count in enumerate(counts):
        namespace, name = of.patch_name(patch).split("/")
        rows.append((patch + 1, namespace, name, fold(name), count + 1))
    return rows


def author_name(number: int) -> str:
    """One of the people who make edits."""
    return f"{words.person(number)} {number}"


def digest_of(place: int) -> str:
    """The digest of a version."""
    return sha256(b"patch.json %d" % place)


def attestation(place: int) -> str:
    """The digest of the evaluation of a version."""
    return sha256(b"attestation %d" % place)


def insert(table: str) -> str:
    """The statement for rows of a table that have all its columns."""
    columns = ", ".join(f'"{column.name}"' for column in schema.metadata.tables[table].columns)
    marks = ", ".join("?" * len(schema.metadata.tables[table].columns))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"


def _parts(place: int) -> int:
    return 2 if place % TWO_REQUESTS == 0 else 1


def _files(place: int) -> dict[str, str]:
    return {
        "delta.safetensors": sha256(b"delta %d" % place),
        "patch.json": digest_of(place),
        "requests.jsonl": sha256(b"requests %d" % place),
    }
