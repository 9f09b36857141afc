"""Edit requests: what an edit should do, and the probes that show whether it did."""

import codecs
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import LimitExceeded, ManifestError, RequestRefused
from .format import jsonfile

MAX_TEXT = 10_000
MAX_PROBES = 1_000
MAX_REQUESTS = 100_000
MAX_LINE = 1 << 20
_ENDLESS_NUMBER = re.compile(rb"[0-9]{1000}")
_FIELDS = {
    *("id", "prompt", "subject", "target", "old_target"),
    *("paraphrases", "neighbourhood", "portability", "generation"),
}
PORTABILITY = ("alias", "reversed", "one-hop")
"""What an edit should carry over to: other names of the subject, the relation read backwards, what
follows from the new fact in one step (Yao et al. 2023, section 5)."""


@dataclass(frozen=True)
class Probe:
    """A prompt and the continuation that goes with it."""

    prompt: str
    target: str


@dataclass(frozen=True)
class EditRequest:
    """One thing that an edit should do.

    `prompt` holds the subject as `{}`, as in "The capital of {} is". `old_target` is what the base
    answers today; it is needed for ROME's ES and PS. Neighbourhood probes are prompts whose answers
    must not change, each with the answer that it has. `portability` holds, by one of PORTABILITY,
    probes of what follows from the edit. `generation` are beginnings of texts about the subject.
    """

    prompt: str
    subject: str
    target: str
    old_target: str | None = None
    paraphrases: tuple[Probe, ...] = ()
    neighbourhood: tuple[Probe, ...] = ()
    portability: Mapping[str, tuple[Probe, ...]] = field(default_factory=dict, hash=False)
    generation: tuple[str, ...] = ()
    id: str = field(default="1")

    @property
    def text(self) -> str:
        """The prompt with the subject in its place."""
        return self.prompt.replace("{}", self.subject)

    @classmethod
    def parse(cls, record: object, *, where: str = "request", number: int = 1) -> "EditRequest":
        """Read a request from its JSON form; `where` and `number` name it in errors.

        White space around a text is dropped. In the prompt and in paraphrases `{}` stands for the
        subject, or the subject stands there itself. A paraphrase or neighbour may be a string or
        {"prompt", "target"}; a bare paraphrase expects `target`, a bare neighbour `old_target`.
        Raises RequestRefused, or LimitExceeded.
        """
        reader = _Reader(record, where)
        subject, target = reader.text("subject"), reader.text("target")
        old_target = reader.optional_text("old_target")
        return cls(
            prompt=_template(reader.text("prompt"), subject, where),
            subject=subject,
            target=target,
            old_target=old_target,
            paraphrases=tuple(
                Probe(probe.prompt.replace("{}", subject), probe.target)
                for probe in reader.probes("paraphrases", target)
            ),
            neighbourhood=reader.probes("neighbourhood", old_target),
            portability=reader.portability(),
            generation=reader.texts("generation"),
            id=reader.id() or str(number),
        )

    def to_json(self) -> dict[str, Any]:
        """The request as plain JSON values; `parse` reads it back unchanged."""
        record: dict[str, Any] = {
            "id": self.id,
            "prompt": self.prompt,
            "subject": self.subject,
            "target": self.target,
            "paraphrases": [vars(probe) for probe in self.paraphrases],
            "neighbourhood": [vars(probe) for probe in self.neighbourhood],
        }
        if self.old_target is not None:
            record["old_target"] = self.old_target
        if self.portability:
            record["portability"] = {
                kind: [vars(probe) for probe in probes] for kind, probes in self.portability.items()
            }
        if self.generation:
            record["generation"] = list(self.generation)
        return record


class _Reader:
    def __init__(self, record: object, where: str) -> None:
        if not isinstance(record, Mapping):
            raise RequestRefused(f"{where}: a request is a JSON object")
        unknown = sorted(map(str, set(record) - _FIELDS))
        if unknown:
            raise RequestRefused(
                f"{where}: unknown field {unknown[0]!r}",
                hint=f"known fields: {', '.join(sorted(_FIELDS))}",
            )
        self.record = record
        self.where = where

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if value is None:
            raise RequestRefused(f"{self.where}: {name} is missing")
        return value

    def optional_text(self, name: str) -> str | None:
        value = self.record.get(name)
        return None if value is None else _checked_text(value, f"{self.where}: {name}")

    def id(self) -> str | None:
        value = self.optional_text("id")
        if value is not None and not value.isprintable():
            raise RequestRefused(f"{self.where}: id must be one line of printable characters")
        return value

    def probes(self, name: str, default: str | None) -> tuple[Probe, ...]:
        return _probes(self.record.get(name, []), default, f"{self.where}: {name}")

    def portability(self) -> dict[str, tuple[Probe, ...]]:
        record = self.record.get("portability", {})
        if not isinstance(record, Mapping) or not set(record) <= set(PORTABILITY):
            raise RequestRefused(
                f"{self.where}: portability is an object of lists of probes",
                hint=f"its names are {', '.join(PORTABILITY)}",
            )
        found = {
            kind: _probes(values, None, f"{self.where}: portability {kind}")
            for kind, values in sorted(record.items())
        }
        return {kind: probes for kind, probes in found.items() if probes}

    def texts(self, name: str) -> tuple[str, ...]:
        values = _listed(self.record.get(name, []), f"{self.where}: {name}")
        return tuple(
            _checked_text(value, f"{self.where}: {name} {number}")
            for number, value in enumerate(values, 1)
        )


def _listed(values: object, where: str) -> list[Any]:
    if not isinstance(values, list):
        raise RequestRefused(f"{where} is a list")
    if len(values) > MAX_PROBES:
        raise LimitExceeded(f"{where} has more than {MAX_PROBES} entries")
    return values


def _probes(values: object, default: str | None, where: str) -> tuple[Probe, ...]:
    return tuple(
        _probe(value, default, f"{where} {number}")
        for number, value in enumerate(_listed(values, where), 1)
    )


def _probe(value: object, default: str | None, where: str) -> Probe:
    record = {"prompt": value} if isinstance(value, str) else value
    if not isinstance(record, Mapping) or not set(record) <= {"prompt", "target"}:
        raise RequestRefused(f'{where}: a probe is a string or {{"prompt", "target"}}')
    target = record.get("target", default)
    if target is None:
        raise RequestRefused(
            f"{where}: no answer to compare with",
            hint="give the probe a target, or the request an old_target",
        )
    return Probe(
        _checked_text(record.get("prompt"), f"{where}: prompt"),
        _checked_text(target, f"{where}: target"),
    )


def _checked_text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise RequestRefused(f"{where} must be a text that is not empty")
    if len(value) > MAX_TEXT:
        raise LimitExceeded(f"{where} is longer than {MAX_TEXT} characters")
    if "\x00" in value or (not value.isascii() and _has_surrogate(value)):
        raise RequestRefused(f"{where} holds a NUL or half a character")
    return value.strip()


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


def _template(prompt: str, subject: str, where: str) -> str:
    if "{}" in subject:
        raise RequestRefused(f"{where}: the subject cannot hold {{}}, which stands for it")
    template = prompt if "{}" in prompt else prompt.replace(subject, "{}", 1)
    if template.count("{}") != 1:
        raise RequestRefused(
            f"{where}: the prompt must hold the subject exactly once",
            why=f"subject {subject!r}, prompt {prompt!r}",
            hint='write the prompt with {} for the subject, as in "The capital of {} is"',
        )
    return template


def dump_requests(requests: Iterable[EditRequest]) -> bytes:
    """requests.jsonl: one canonical JSON object a line; `parse_requests` reads the same back.

    Raises RequestRefused, or LimitExceeded, for requests that it would refuse.
    """
    lines = [_line(request) for request in requests]
    parse_requests(data := b"".join(lines))
    return data


def _line(request: EditRequest) -> bytes:
    try:
        return jsonfile.canonical(request.to_json(), what="a request") + b"\n"
    except ManifestError as error:
        raise RequestRefused(error.message) from None


def parse_requests(data: bytes, *, name: str = "requests.jsonl") -> tuple[EditRequest, ...]:
    """Read a JSONL file of requests; blank lines are skipped, bad ones named by number.

    A byte order mark, with which some editors begin a file, is skipped too.

    Raises RequestRefused, or LimitExceeded.
    """
    requests: list[EditRequest] = []
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            raise LimitExceeded(f"{name} line {number} is longer than {MAX_LINE} bytes")
        if len(requests) >= MAX_REQUESTS:
            raise LimitExceeded(f"{name} holds more than {MAX_REQUESTS} requests")
        where = f"{name} line {number}"
        requests.append(
            EditRequest.parse(_json(line, where), where=where, number=len(requests) + 1)
        )
    if len({request.id for request in requests}) != len(requests):
        raise RequestRefused(f"{name}: two requests have the same id")
    return tuple(requests)


def _json(line: bytes, where: str) -> object:
    try:
        return jsonfile.decode(line)
    except ValueError as error:
        raise RequestRefused(
            f"{where} is not JSON: {_flaw(error, line)}",
            hint='each line is an object as in {"prompt": …, "subject": …, "target": …}',
        ) from None


def _flaw(error: ValueError, line: bytes) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"it goes wrong at character {error.pos + 1}"
    return "a number in it is too long" if _ENDLESS_NUMBER.search(line) else str(error)
