"""One publisher: `publish.py URL HOME DRAFTS FIRST COUNT`, with - for the database in HOME."""

import sys
from functools import partial
from pathlib import Path

from gate import work
from weightpatch.patches.errors import WeightpatchError
from weightpatch.patches.format.manifest import Manifest
from weightpatch.patches.format.patch import MANIFEST, Draft
from weightpatch.registry.registry import Registry


def main() -> None:
    url, home, drafts = sys.argv[1:4]
    first, count = map(int, sys.argv[4:])
    folders = [Path(drafts) / str(number) for number in range(first, first + count)]
    waiting = [Draft(Manifest.from_bytes((one / MANIFEST).read_bytes()), one) for one in folders]
    with Registry.open(
        None if url == "-" else url, home=Path(home), actor=f"publisher {first}"
    ) as registry:
        work((partial(registry.publish, draft) for draft in waiting), (WeightpatchError, OSError))


if __name__ == "__main__":
    main()
