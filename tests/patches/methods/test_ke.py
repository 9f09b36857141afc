import pytest
import torch
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.hypernetworks.training import Scores
from weightpatch.patches.methods.hyperparameters import hyperparameters_from
from weightpatch.patches.methods.ke import KnowledgeEditor, KnowledgeEditorTraining, Lagrangian


def test_the_loss_is_the_lagrangian_of_the_constraint():
    weighing = Lagrangian(margin=0.5, multiplier=2.0, rate=4.0)
    assert weighing(torch.tensor(3.0), torch.tensor(1.0)).item() == 3.0 + 2.0 * (1.0 - 0.5)


def test_the_multiplier_follows_the_constraint_and_is_never_negative():
    weighing = Lagrangian(margin=0.5, multiplier=1.0, rate=2.0)
    seen = []
    for drift in (1.0, 0.25, 0.0, 0.0, 0.75):
        weighing.learn(drift)
        seen.append(weighing.multiplier)
    assert seen == [2.0, 1.5, 0.5, 0.0, 0.5]


def test_held_out_only_what_is_above_the_margin_counts():
    weighing = Lagrangian(margin=0.5, multiplier=1.0, rate=2.0)
    assert weighing.judge(Scores(3.0, 0.4, 0, 0, 0)) == 3.0
    assert weighing.judge(Scores(3.0, 0.75, 0, 0, 0)) == 5.5


def test_settings_can_be_typed(llama):
    defaults = KnowledgeEditor.training_defaults(llama)
    settings = hyperparameters_from(defaults, {"width": "8", "margin": "0.2"})
    assert (settings.width, settings.margin) == (8, 0.2)


@pytest.mark.parametrize("changes", [{"width": 0}, {"margin": 0.0}, {"multiplier": -1.0}])
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(RequestRefused, match="out of range"):
        KnowledgeEditorTraining(**changes)
