"""How a hyperparameter outside its range is refused."""

from ..errors import RequestRefused

LARGEST = 1e30
"""Of a hyperparameter that has no bound of its own: float32 still holds it."""


def require(holds: bool, rule: str) -> None:
    """Raise RequestRefused with the `rule` that does not hold."""
    if not holds:
        raise RequestRefused(f"a hyperparameter is out of range: {rule}")
