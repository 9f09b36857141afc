import numpy as np
import pytest
import torch
from weightpatch.cli.measuring import Meter, MeteredStatistics, cost, peak_memory
from weightpatch.cli.output import Output
from weightpatch.cli.scoring import show_evaluation, show_means
from weightpatch.patches.evaluation.base import Evaluation, Mean, Score


def test_a_meter_adds_up_what_it_is_given_and_no_more():
    meter = Meter()
    assert (meter.seconds, meter.cpu_seconds) == (0.0, 0.0)
    with meter.running():
        np.linalg.svd(np.ones((200, 200)))
    first = meter.seconds
    with pytest.raises(KeyError), meter.running():
        {}["missing"]
    assert 0 < first < meter.seconds
    assert meter.cpu_seconds > 0


def test_what_is_done_once_is_taken_from_statistics_alone():
    statistics, whole = MeteredStatistics(), Meter()
    whole.seconds, whole.cpu_seconds = 3.0, 4.0
    statistics.meter.seconds, statistics.meter.cpu_seconds = 1.0, 2.0
    found = cost(whole, statistics.meter, torch.device("cpu"))
    assert (found.seconds, found.once_seconds) == (3.0, 1.0)
    assert (found.cpu_seconds, found.once_cpu_seconds) == (4.0, 2.0)


def test_a_process_that_holds_an_array_holds_its_bytes():
    array = np.ones(10_000_000)
    assert peak_memory(torch.device("cpu")) > array.nbytes


def test_seconds_bytes_and_large_numbers_are_shown_so_that_they_can_be_read(capsys):
    means = {
        "efficiency.peak-memory": Mean(None, 1.84e9, 1),
        "perplexity": Mean(23.88, 1.5e6, 1),
        "efficiency.seconds": Mean(None, 2.25, 1),
        "reliability.exact-match": Mean(0.0, 1.0, 1),
    }
    show_means(Output(as_json=False), means)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()][2:]
    assert lines == [
        ["reliability.exact-match", "0.000", "1.000", "1"],
        ["perplexity", "23.880", "1.5e+06", "1"],
        ["efficiency.seconds", "-", "2.25", "s", "1"],
        ["efficiency.peak-memory", "-", "1.8", "GB", "1"],
    ]


def test_the_steps_of_a_sequence_are_shown_side_by_side(capsys):
    name = "retention.reliability.exact-match"
    evaluation = Evaluation(
        suite="retention",
        suite_digest="0" * 64,
        definitions={name: "Share."},
        scores=(Score("1", name, 0.0, 1.0, 1), Score("10", name, 0.0, 0.5, 10)),
        environment={},
    )
    show_evaluation(Output(as_json=False), evaluation)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["after", "edits", "1", "10"]
    assert lines[2:] == [["reliability.exact-match", "1.000", "0.500"]]
