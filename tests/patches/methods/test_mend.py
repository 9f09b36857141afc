import pytest
import torch
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.hypernetworks.training import Scores
from weightpatch.patches.methods.hyperparameters import hyperparameters_from
from weightpatch.patches.methods.mend import Fixed, Mend, MendTraining


def test_the_loss_is_that_of_the_paper():
    """c · L_edit + L_loc, in training and on the records held out."""
    weighing = Fixed(0.25)
    assert weighing(torch.tensor(4.0), torch.tensor(0.5)).item() == 1.5
    weighing.learn(100.0)
    assert weighing.judge(Scores(4.0, 0.5, 0, 0, 0)) == 1.5


def test_settings_can_be_typed(llama):
    settings = hyperparameters_from(Mend.training_defaults(llama), {"rank": "8", "rate": "1e-3"})
    assert (settings.rank, settings.rate, settings.layers) == (8, 1e-3, 3)


@pytest.mark.parametrize("changes", [{"rank": 0}, {"rank": 5000}, {"edit_weight": 0.0}])
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(RequestRefused, match="out of range"):
        MendTraining(**changes)


@pytest.mark.parametrize("changes", [{"batch_size": -1}, {"strength": 0.0}])
def test_an_edits_settings_out_of_range_are_refused(changes):
    with pytest.raises(RequestRefused, match="out of range"):
        Mend.Hyperparameters(**changes)
