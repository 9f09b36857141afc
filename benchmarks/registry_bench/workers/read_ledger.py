"""Read a whole ledger: `read_ledger.py HOME RESULT verify|checkpoint|growth`."""

import json
import sys
import time
from pathlib import Path

from weightpatch.registry.registry import Registry


def _read(registry: Registry, what: str) -> tuple[int, bool]:
    """How many entries were read, and whether all is well."""
    if what == "verify":
        report = registry.verify_ledger()
        return report.sound, report.ok
    newest = registry.log(limit=1)[0].seq
    if what == "checkpoint":
        return registry.checkpoint().size, True
    registry.prove_growth(newest // 2)
    return newest, True


def main() -> None:
    home, result, what = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    with Registry.open(home=home, actor="bench") as registry:
        start = time.perf_counter()
        entries, ok = _read(registry, what)
        seconds = time.perf_counter() - start
    result.write_text(json.dumps({"entries": entries, "ok": ok, "seconds": seconds}))


if __name__ == "__main__":
    main()
