"""The rows of the survey: methods, and what is set where it is not the method's default."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """A method with settings (`name=value` as typed by a user); `trained` if it needs an editor."""

    method: str
    settings: Mapping[str, str] = field(default_factory=dict)
    trained: bool = False


ROWS: Mapping[str, Row] = {
    "ft-l": Row(
        "ft",
        {
            "objective": "last",
            "layer": "19",
            "learning_rate": "5e-4",
            "loss_threshold": "0.01",
            "rank": "none",
        },
    ),
    "ft": Row("ft"),
    "lora": Row("lora"),
    "kn": Row("kn"),
    "ke": Row("ke", trained=True),
    "mend": Row("mend", trained=True),
    "rome": Row("rome"),
    "memit": Row("memit"),
    "alphaedit": Row("alphaedit"),
}
"""FT-L as EasyEdit runs it on SmolLM2 stands beside the defaults."""
