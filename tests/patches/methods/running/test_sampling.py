import torch
from weightpatch.patches.methods.running.prefixes import sample_prefixes
from weightpatch.patches.methods.running.sampling import random_tokens, sample


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_same_seed_writes_the_same_text_and_another_seed_another(every):
    starts = torch.tensor([[40], [41]])
    first = sample(every, starts, 10, generator())
    assert first.shape == (2, 11)
    assert torch.equal(first, sample(every, starts, 10, generator()))
    assert not torch.equal(first, sample(every, starts, 10, generator(1)))


def test_the_global_generator_is_left_alone(llama):
    before = torch.get_rng_state()
    sample_prefixes(llama, 3, 4, generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_tokens_are_drawn_as_often_as_the_model_says(llama):
    """The second token after one start, over many draws, against the model's own chances."""
    starts = torch.full((4000, 1), 50)
    drawn = sample(llama, starts, 1, generator())[:, 1]
    with torch.no_grad():
        logits = llama.model(input_ids=starts[:1]).logits[0, -1]
    logits[0] = -torch.inf
    chances = logits.softmax(-1)
    counts = torch.bincount(drawn, minlength=len(chances)) / 4000
    assert (counts - chances).abs().max() < 4 * (0.25 / 4000) ** 0.5


def test_the_cache_changes_nothing(every):
    """Each token is likely given all before it: with one choice left, text is the greedy one."""
    starts = torch.tensor([[60], [61]])
    found = sample(every, starts, 8, generator(), top_k=1)
    for row in found:
        for length in range(1, len(row)):
            with torch.no_grad():
                logits = every.model(input_ids=row[None, :length]).logits[0, -1]
            logits[0] = -torch.inf
            assert logits[row[length]] == logits.max()


def test_special_tokens_are_never_drawn(llama):
    with torch.no_grad():
        llama.model.set_output_embeddings(torch.nn.Linear(32, 320))
        llama.head.bias[0] = 1e4
    rows = sample(llama, random_tokens(llama, 50, generator()), 5, generator())
    assert (rows != 0).all()


def test_prefixes_are_single_lines_that_end_in_a_full_stop(llama):
    prefixes = sample_prefixes(llama, 20, 6, generator())
    assert len(set(prefixes)) == 20
    for prefix in prefixes:
        assert prefix.endswith(". ")
        assert not any(unwanted in prefix for unwanted in ("\n", "\ufffd", "<end>"))


def test_no_prefixes_are_no_work(llama):
    assert sample_prefixes(llama, 0, 6, generator()) == ()
