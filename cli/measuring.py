"""What making an edit took: time by the clock and of all cores, and memory."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from ..patches.methods.statistics.key_statistics import KeyStatistics, SecondMoment
from ..patches.progress import Progress, silent

if TYPE_CHECKING:
    import torch

    from ..patches.checkpoints.models import EditableModel
    from ..patches.evaluation.efficiency import Cost

_KIB = 1024


class Meter:
    """Adds up the time that is spent within `running`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of the block."""
        clock, cpu = perf_counter(), process_time()
        try:
            yield
        finally:
            self.seconds += perf_counter() - clock
            self.cpu_seconds += process_time() - cpu


class MeteredStatistics(KeyStatistics):
    """Key statistics that tell how long they took: `meter` has what is done once for a base."""

    def __init__(self, folder: Path | None = None, text: Path | None = None) -> None:
        super().__init__(folder, text)
        self.meter = Meter()

    def second_moments(
        self,
        model: "EditableModel",
        layers: Sequence[int],
        tokens: int,
        progress: Progress = silent,
    ) -> dict[int, SecondMoment]:
        """As KeyStatistics gives them."""
        with self.meter.running():
            return super().second_moments(model, layers, tokens, progress)


def cost(whole: Meter, once: Meter, device: "torch.device") -> "Cost":
    """What an edit took in all, with its share that is done once for a base."""
    from ..patches.evaluation.efficiency import Cost

    return Cost(
        whole.seconds,
        whole.cpu_seconds,
        once.seconds,
        once.cpu_seconds,
        peak_memory=peak_memory(device),
    )


def peak_memory(device: "torch.device") -> int | None:
    """Most bytes held at once: by tensors on a CUDA device, else by this process, if it is told."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * _KIB
