import pytest
from weightpatch.patches.evaluation.base import Evaluation, Mean
from weightpatch.patches.evaluation.efficiency import Cost, efficiency
from weightpatch.patches.requests import EditRequest

REQUESTS = [EditRequest("{} speaks", name, "English", id=name) for name in ("Danielle", "Marcel")]
COST = Cost(10.0, 18.0, once_seconds=4.0, once_cpu_seconds=8.0, peak_memory=3 * 10**9)


def test_time_is_per_request_and_what_is_done_once_is_apart():
    assert efficiency(COST, REQUESTS, {"device": "cpu"}).means() == {
        "efficiency.seconds": Mean(None, 3.0, 1),
        "efficiency.cpu-seconds": Mean(None, 5.0, 1),
        "efficiency.once.seconds": Mean(None, 4.0, 1),
        "efficiency.once.cpu-seconds": Mean(None, 8.0, 1),
        "efficiency.peak-memory": Mean(None, 3e9, 1),
    }


def test_it_is_an_evaluation_as_any_other_and_read_back():
    evaluation = efficiency(COST, REQUESTS, {"device": "cpu"})
    assert evaluation.scores[0].count == 2
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


def test_memory_that_cannot_be_told_is_absent():
    measures = efficiency(Cost(1.0, 1.0), REQUESTS, {}).means()
    assert "efficiency.peak-memory" not in measures
    assert measures["efficiency.once.seconds"].after == 0.0


def test_clocks_that_differ_in_the_last_bits_give_no_negative_time():
    assert efficiency(Cost(1.0, 1.0, 1.1, 1.1), REQUESTS, {}).means()[
        "efficiency.seconds"
    ].after == pytest.approx(0.0)


def test_the_digest_names_the_requests_whatever_their_order():
    one, other = efficiency(COST, REQUESTS, {}), efficiency(COST, REQUESTS[::-1], {})
    assert one.suite_digest == other.suite_digest != efficiency(COST, REQUESTS[:1], {}).suite_digest
