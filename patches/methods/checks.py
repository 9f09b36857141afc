"""How a hyperparameter outside its range is refused."""

from ..errors import RequestRefused


def require(holds: bool, rule: str) -> None:
    """Raise RequestRefused with the `rule` that does not hold."""
    if not holds:
        raise RequestRefused(f"a hyperparameter is out of range: {rule}")
