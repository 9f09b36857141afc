"""Tensor names in tables: whole in a pipe, fitted to a terminal, never two alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.cli.output import Output
from weightpatch.cli.tensor_table import (
    fits,
    natural,
    norm,
    norms,
    operation,
    percentage,
    shortened,
    tensor_table,
)

DOWN = "model.layers.{}.mlp.down_proj.weight"
COLUMNS = ["", "tensor", "operation"]


def printed(capsys, names: list[str]) -> list[str]:
    tensor_table(Output(as_json=False), COLUMNS, [["-", name, "lowrank rank 1"] for name in names])
    return capsys.readouterr().out.splitlines()


def narrow(monkeypatch) -> None:
    """Make the output of the running test a terminal of 50 columns."""
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)


def test_in_a_pipe_names_are_whole(capsys):
    assert DOWN.format(3) in printed(capsys, [DOWN.format(3)])[2]


def test_a_table_fits_the_terminal(capsys, monkeypatch):
    narrow(monkeypatch)
    lines = printed(capsys, [DOWN.format(number) for number in range(12)])
    assert max(map(len, lines[1:])) <= 50
    assert all(f".{number}.mlp.down_proj.weight" in lines[2 + number] for number in range(12))


def test_a_name_from_outside_cannot_drive_the_terminal(capsys, monkeypatch):
    narrow(monkeypatch)
    lines = printed(capsys, ["\x1b[2J\x9b2J" + "x" * 60])
    assert all(line.isprintable() for line in lines[1:])  # above stands a bold heading


def test_where_a_table_is_too_wide_names_stand_above_their_rows(capsys, monkeypatch):
    narrow(monkeypatch)
    columns = ["", "tensor", "version", "operation", "norm"]
    rows = [
        [mark, DOWN.format(3), "acme/capitals@1", "lowrank rank 1", alike]
        for mark, alike in (("-", ""), ("+", None))
    ]
    tensor_table(Output(as_json=False), columns, [*rows, ["-", "a\nb", *rows[0][2:]]])
    assert capsys.readouterr().out.splitlines() == [
        "      version           operation        norm",
        DOWN.format(3),
        "  -   acme/capitals@1   lowrank rank 1",
        "  +   acme/capitals@1   lowrank rank 1   -",
        "a b",
        "  -   acme/capitals@1   lowrank rank 1",
    ]


def test_only_a_last_column_that_can_be_wrapped_may_be_long(monkeypatch):
    assert fits(["version", "message"], [["acme/capitals@1" * 9, "word " * 50]])
    narrow(monkeypatch)
    assert fits(["version", "message"], [["acme/capitals@1", "word " * 50]])
    assert not fits(["version", "message"], [["acme/capitals@1" * 3, "word " * 50]])


@given(st.sets(st.text("ab.", min_size=1, max_size=40), max_size=12), st.integers(-5, 60))
def test_shortened_names_differ_where_names_do(names: set[str], room: int):
    found = shortened(names, room)
    assert set(found) == names
    assert len(set(found.values())) == len(names)
    assert all(name.endswith(found[name].removeprefix("…")) for name in names)


def test_names_are_cut_only_where_they_must_be():
    names = [DOWN.format(3), "model.norm.weight"]
    assert shortened(names, 99) == {name: name for name in names}
    assert shortened(names, 29) == {names[0]: "…ayers.3.mlp.down_proj.weight", names[1]: names[1]}


@pytest.mark.parametrize(
    ("kind", "size", "text"),
    [
        ("lowrank", 2, "lowrank rank 2"),
        ("sparse", 1, "sparse 1 entry"),
        ("dense", 60, "dense 60 entries"),
        ("replace", 60, "replace 60 values"),
        ("widen", 2, "widen 2 neurons"),
        ("rotation", 3, "rotation 3"),
    ],
)
def test_sizes_have_their_unit(kind: str, size: int, text: str):
    assert operation(kind, size) == text


def test_small_numbers_do_not_become_zero():
    assert norm(0.00041234) == "0.0004123"
    assert percentage(0.0000123) == "0.00123%"
    assert percentage(0.716) == "71.6%"
    assert percentage(14.004) == "1400%"


def test_layer_2_comes_before_layer_10():
    names = [DOWN.format(number) for number in (10, 2, 1, 11)]
    assert sorted(names, key=natural) == [DOWN.format(number) for number in (1, 2, 10, 11)]
    assert sorted(["2.a", "a.2", ""], key=natural) == ["", "2.a", "a.2"]


@pytest.mark.parametrize("kind", ["replace", "widen"])
def test_the_norm_of_new_values_says_nothing_of_the_change(kind: str):
    assert norms(kind, 20.0, 1.0) == [None, None]
    assert norms("dense", 20.0, 0.5) == ["20", "50%"]
