"""Load a data set by what a user calls it: NAME for one that ships, NAME:FILE for a file."""

import hashlib
from importlib import resources
from pathlib import Path

from .. import plugins
from ..errors import InputError, LimitExceeded, PluginMissing
from .base import DataSet, Loaded, Loader

MAX_FILE = 1 << 28
SKIP = "look at the record, or leave out what cannot be used with --skip-bad"


def load(spec: str, *, skip_bad: bool = False) -> DataSet:
    """Load NAME or NAME:FILE; with `skip_bad`, records that cannot be used are left out.

    Raises PluginMissing for an unknown name; InputError if NAME ships no data, if a record cannot
    be used (naming the first and counting the rest) or if none is left; LimitExceeded; OSError.
    """
    name, _, file = spec.partition(":")
    loader = _loader(name)
    if file:
        title, data = Path(file).name, _read(Path(file))
    else:
        title, data = _shipped(loader)
    loaded = loader.read(data, name=title)
    _require_usable(loaded, title, skip_bad=skip_bad)
    digest = hashlib.sha256(data).hexdigest()
    return DataSet(name, loaded.requests, digest, loaded.refused)


def text_for_perplexity() -> str:
    """The text that ships: paragraphs of WikiText-2's test split, one a line."""
    return resources.files(__package__).joinpath("shipped", "text.txt").read_text("utf-8").strip()


def _loader(name: str) -> Loader:
    try:
        kind: type[Loader] = plugins.load("datasets", name)
    except PluginMissing as error:
        hint = "check the spelling; a file goes after its form, as in jsonl:FILE"
        raise PluginMissing(error.message, why=error.why, hint=hint) from None
    return kind()


def _read(file: Path) -> bytes:
    if not file.exists():
        raise InputError(f"{file} does not exist", hint="name a file that is there after NAME:")
    if not file.is_file():
        raise InputError(f"{file} is not a regular file", hint="name a file after NAME:")
    with file.open("rb") as stream:
        data = stream.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise LimitExceeded(f"{file.name} is longer than {MAX_FILE} bytes")
    return data


def _shipped(loader: Loader) -> tuple[str, bytes]:
    if loader.shipped is None:
        raise InputError(
            f"no data of the form {loader.name!r} ship with the package",
            hint=f"name a file, as in {loader.name}:FILE",
        )
    package = type(loader).__module__.rpartition(".")[0]
    found = resources.files(package).joinpath("shipped", loader.shipped)
    return loader.shipped, found.read_bytes()


def _require_usable(loaded: Loaded, title: str, *, skip_bad: bool) -> None:
    if loaded.refused and not skip_bad:
        first, others = loaded.refused[0], len(loaded.refused) - 1
        also = f"; {others} more cannot be used either" if others else ""
        raise InputError(f"{title} {first}{also}", hint=SKIP)
    if not loaded.requests:
        first_flaw = str(loaded.refused[0]) if loaded.refused else None
        raise InputError(f"{title} holds no record that can be used", why=first_flaw)
