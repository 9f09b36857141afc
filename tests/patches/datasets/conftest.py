"""One record of each published form, as they look there."""

import json

import pytest


def as_json(records: object) -> bytes:
    return json.dumps(records, ensure_ascii=False).encode()


@pytest.fixture
def rome_record() -> dict:
    return {
        "case_id": 7,
        "pararel_idx": 2796,
        "requested_rewrite": {
            "prompt": "The mother tongue of {} is",
            "relation_id": "P103",
            "target_new": {"str": "English", "id": "Q1860"},
            "target_true": {"str": "French", "id": "Q150"},
            "subject": "Danielle Darrieux",
        },
        "paraphrase_prompts": ["Shayna does this. Danielle Darrieux, a native"],
        "neighborhood_prompts": ["The mother tongue of Léon Blum is", "Montesquieu spoke"],
        "attribute_prompts": ["Douglas Adams, speaker of"],
        "generation_prompts": ["Danielle Darrieux was born in", "Danielle Darrieux was born in"],
    }


@pytest.fixture
def easyedit_record() -> dict:
    return {
        "case_id": 2,
        "prompt": "Toko Yasuda, the",
        "target_new": "piano",
        "subject": "Toko Yasuda",
        "ground_truth": "guitar",
        "rephrase_prompt": "Toko Yasuda is incredible at",
        "locality_prompt": "John Lennon performs on the",
        "locality_ground_truth": "guitar",
    }


@pytest.fixture
def zsre_record() -> dict:
    return {
        "subject": "Papendrecht",
        "src": "By which body of water is Papendrecht located?",
        "pred": "Döllnitz",
        "rephrase": "Which is the water body of Papendrecht?",
        "alt": "Benedenrecht",
        "answers": ["Beneden Merwede", "Noord"],
        "loc": "nq question: who made the song i like to move it",
        "loc_ans": "Reel 2 Real",
        "cond": "Döllnitz >> Benedenrecht || By which body of water is Papendrecht located?",
    }


@pytest.fixture
def knowedit_record() -> dict:
    return {
        "subject": "Leo Arons",
        "prompt": "What is the native tongue of Leo Arons?",
        "target_new": "Dutch",
        "ground_truth": ["German"],
        "rephrase_prompt": "Leo Arons grew up speaking what?",
        "portability": {
            "Subject_Aliasing": [{"prompt": "Martin Leo Arons spoke", "ground_truth": "Dutch"}],
            "Logical_Generalization": [
                {"prompt": "Dutch is spoken by", "ground_truth": [["Leo Arons", "L. Arons"]]}
            ],
            "Reasoning": [{"prompt": "Leo Arons's country is", "ground_truth": ["Netherlands"]}],
        },
        "locality": {
            "Relation_Specificity": [
                {"prompt": "The field of Leo Arons is", "ground_truth": [["physics", "science"]]}
            ],
            "Forgetfulness": [{"prompt": "Leo Arons died in", "ground_truth": ["Berlin"]}],
        },
    }
