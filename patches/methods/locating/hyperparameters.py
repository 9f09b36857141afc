"""What all methods that locate a fact and then edit can be told."""

from dataclasses import dataclass

from ..checks import require
from .value import ValueHyperparameters


@dataclass(frozen=True, kw_only=True)
class LocateHyperparameters(ValueHyperparameters):
    """How keys are found and held against those of other text; raises RequestRefused."""

    prefixes: int = 5
    """How many sampled texts are set before the prompt, beside the bare prompt."""
    prefix_length: int = 8
    """Tokens in each."""
    bare_weight: float = 0.5
    """Weight of the bare prompt in the mean key; the prompts with prefixes share the rest."""
    statistics_tokens: int = 6_000
    """From how many tokens the covariance of the keys is estimated."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.prefixes <= 100, "prefixes is 0 to 100")
        require(1 <= self.prefix_length <= 100, "prefix_length is 1 to 100")
        require(0 < self.bare_weight <= 1, "bare_weight is above 0 and at most 1")
        require(100 <= self.statistics_tokens <= 10**7, "statistics_tokens is 100 to 10000000")
