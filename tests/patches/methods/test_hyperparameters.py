from dataclasses import dataclass

import pytest
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.hyperparameters import hyperparameters_from


@dataclass(frozen=True)
class Settings:
    layer: int
    rate: float = 0.5
    careful: bool = False
    limit: float | None = 2.0
    scope: str = "all"

    def __post_init__(self):
        if self.rate <= 0:
            raise RequestRefused("rate is above 0")


DEFAULTS = Settings(layer=4)


def test_settings_take_the_place_of_defaults():
    typed = {"layer": "3", "rate": "1e-2", "careful": "yes", "limit": "none", "scope": "mlp"}
    assert hyperparameters_from(DEFAULTS, typed) == Settings(3, 0.01, True, None, "mlp")
    assert hyperparameters_from(DEFAULTS, {}) == DEFAULTS


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(RequestRefused, match="'depth'") as refused:
        hyperparameters_from(DEFAULTS, {"depth": "3"})
    assert refused.value.hint == "known: careful, layer, limit, rate, scope"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("layer", "3.5", "a whole number"),
        ("rate", "fast", "a number"),
        ("careful", "maybe", "yes or no"),
        ("limit", "many", "a number"),
        ("rate", "", "a number"),
        ("rate", "none", "a number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(name, text, kind):
    with pytest.raises(RequestRefused, match=f"{name} must be {kind}"):
        hyperparameters_from(DEFAULTS, {name: text})


def test_the_dataclass_checks_the_rest():
    with pytest.raises(RequestRefused, match="above 0"):
        hyperparameters_from(DEFAULTS, {"rate": "-1"})
