import pytest
import torch
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.running.prompts import Row, align, tokenise

PROMPT, SUBJECT = "The mother tongue of {} is", "Danielle Darrieux"


def text_of(model, ids):
    return model.tokenizer.decode(list(ids))


@pytest.mark.parametrize("prefix", ["", "What a lovely day. ", "Łódź, 1900 €. "])
@pytest.mark.parametrize("subject", ["Danielle Darrieux", "x", "Łódź", "Marie €"])
def test_the_subject_ends_and_the_target_begins_where_the_text_says(llama, prefix, subject):
    row = tokenise(llama, PROMPT, subject, prefix=prefix, target="English")
    assert text_of(llama, row.ids[: row.subject + 1]) == f"{prefix}The mother tongue of {subject}"
    assert text_of(llama, row.ids) == f"{prefix}The mother tongue of {subject} is"
    assert text_of(llama, row.target) == " English"
    assert len(row.target) > 1


def test_a_subject_at_the_end_is_found_too(llama):
    row = tokenise(llama, "An actor is {}", SUBJECT, target="speaks")
    assert row.subject == len(row.ids) - 1
    assert text_of(llama, row.ids) == f"An actor is {SUBJECT}"


def test_a_token_that_reaches_beyond_the_subject_still_ends_it(llama):
    row = tokenise(llama, "The mother {}gue of her", "ton")
    assert llama.tokenizer.decode([row.ids[row.subject]]) == "ng"


@pytest.mark.parametrize(("prompt", "target"), [("{} is ", "English"), ("{} is", " English ")])
def test_white_space_at_the_seam_is_one_space(llama, prompt, target):
    assert tokenise(llama, prompt, SUBJECT, target=target) == tokenise(
        llama, "{} is", SUBJECT, target="English"
    )


def test_without_a_target_the_row_is_the_prompt(llama):
    row = tokenise(llama, "{} is a", SUBJECT)
    assert (row.target, row.given) == ((), row.ids)
    assert text_of(llama, row.ids) == f"{SUBJECT} is a"


def test_what_the_tokenizer_adds_is_neither_subject_nor_target(llama):
    from tokenizers.processors import TemplateProcessing

    llama.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<end> $A <end>", special_tokens=[("<end>", 0)]
    )
    row = tokenise(llama, "{} is", SUBJECT, target="English")
    assert row.ids[0] == 0
    assert text_of(llama, row.ids[1 : row.subject + 1]) == SUBJECT
    assert text_of(llama, row.target) == " English"


def test_a_text_without_tokens_for_the_subject_is_refused(llama):
    llama.tokenizer.backend_tokenizer.normalizer = no_darrieux()
    with pytest.raises(RequestRefused, match="where the subject ends"):
        tokenise(llama, "{} is", SUBJECT, target="English")


def no_darrieux():
    from tokenizers import Regex, normalizers

    return normalizers.Replace(Regex(".+"), "")


def test_rows_are_padded_until_their_subjects_end_together():
    rows = [Row((5, 6, 7, 8), 1, (9, 10)), Row((1, 2, 3), 2, (4,))]
    batch = align(rows, torch.device("cpu"))
    assert batch.ids.tolist() == [[0, 5, 6, 7, 8, 9], [1, 2, 3, 0, 0, 0]]
    assert batch.mask.tolist() == [[0, 1, 1, 1, 1, 1], [1] * 6]
    assert batch.positions.tolist() == [[0, 0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5]]
    assert (batch.subject, batch.shift) == (2, (1, 0))
