"""What the training of an editor can be told."""

from dataclasses import dataclass

from ..checks import LARGEST, require


@dataclass(frozen=True, kw_only=True)
class TrainingHyperparameters:
    """What all trained editors share; raises RequestRefused for numbers outside their range."""

    layers: int = 3
    """How many of the top layers are edited."""
    steps: int = 400
    """Adam steps, at most."""
    batch_size: int = 8
    """Records a step, each edited on its own."""
    learning_rate: float = 3e-3
    """Adam's, falling to zero along a half cosine."""
    clip: float = 1.0
    """The gradient of a step is shortened to this norm."""
    paraphrases: int = 2
    """Of each record at most so many are used; one a step is answered with the edited weights."""
    neighbours: int = 2
    """Of each record at most so many are used; one a step must stay as it was."""
    held_out: float = 0.1
    """The share of the records that is not trained on, but tells when to stop."""
    evaluate_every: int = 40
    """Steps between two looks at the records held out."""
    patience: int = 3
    """Training ends when so many looks in a row saw nothing better; the best editor is kept."""

    def __post_init__(self) -> None:
        require(1 <= self.layers <= 1000, "layers is 1 to 1000")
        require(1 <= self.steps <= 10**6, "steps is 1 to 1000000")
        require(1 <= self.batch_size <= 1000, "batch_size is 1 to 1000")
        require(0 < self.learning_rate <= 1000, "learning_rate is above 0 and at most 1000")
        require(0 < self.clip <= LARGEST, f"clip is above 0 and at most {LARGEST:g}")
        require(0 <= self.paraphrases <= 100, "paraphrases is 0 to 100")
        require(1 <= self.neighbours <= 100, "neighbours is 1 to 100")
        require(0 < self.held_out <= 0.5, "held_out is above 0 and at most 0.5")
        require(1 <= self.evaluate_every <= 10**6, "evaluate_every is 1 to 1000000")
        require(1 <= self.patience <= 10**6, "patience is 1 to 1000000")
