"""Tables on their way into a document, and the machine that their figures come from."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def write_between(path: Path, script: str, text: str) -> None:
    """Replace what stands between the two markers of a benchmark's script in a document."""
    begin, end = (f"<!-- benchmarks/{script}: {edge} -->" for edge in ("begin", "end"))
    before, rest = path.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")


def machine(cpus: int, libraries: Sequence[str], *, others: Sequence[str] = ()) -> str:
    """Processors, Python, and the versions of those libraries that are installed."""
    versions = list(others)
    for library in libraries:
        try:
            versions.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            continue
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    name = next((line.split(":")[1].strip() for line in cpuinfo if "model name" in line), "CPU")
    return f"{cpus} processors ({name}), Python {platform.python_version()}, {', '.join(versions)}."
