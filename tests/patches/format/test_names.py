"""Names of tensors, keys and patches."""

import pytest
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.errors import NameRefused
from weightpatch.patches.format.names import (
    check_distinct,
    check_patch_name,
    check_tensor_name,
    join_key,
    quoted,
    split_key,
)


@pytest.mark.parametrize(
    "name",
    [
        "w",
        "model.layers.5.mlp.down_proj.weight",
        "model.layers.5.mlp.down_proj.weight::lowrank.0.A",
        "transformer/h_0/attn:0",
        "experts[3].w~{q}",
        "a" * 255,
    ],
)
def test_a_plain_tensor_name_is_accepted(name: str) -> None:
    assert check_tensor_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="N01"),
        pytest.param("../w", id="N02"),
        pytest.param("..", id="N02-alone"),
        pytest.param("a/..", id="N02-end"),
        pytest.param("a/..::lowrank.0.A", id="N02-parameter"),
        pytest.param("/w", id="N02-absolute"),
        pytest.param("a\\b", id="N02-backslash"),
        pytest.param("w\0", id="N03"),
        pytest.param("w\n", id="N04"),
        pytest.param("\x1b[31mw", id="N04-ansi"),
        pytest.param("w\x7f", id="N04-delete"),
        pytest.param("a" * 256, id="N05"),
        pytest.param("m\u043edel", id="N06"),
        pytest.param("w\u202e", id="N06-override"),
        pytest.param("a b", id="space"),
        pytest.param('a"b', id="quote"),
        pytest.param("a'b", id="apostrophe"),
        pytest.param("a`b", id="backtick"),
        pytest.param("\ud800", id="surrogate"),
    ],
)
def test_a_dangerous_tensor_name_is_refused(name: str) -> None:
    with pytest.raises(NameRefused) as caught:
        check_tensor_name(name)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["caf\u00e9", "cafe\u0301"], id="N07"),
        pytest.param(["w.A", "x", "w.a"], id="N08"),
        pytest.param(["STRASSE", "straße"], id="N08-sharp-s"),
        pytest.param(["w", "w"], id="same"),
    ],
)
def test_names_that_are_too_alike_are_refused(names: list[str]) -> None:
    with pytest.raises(NameRefused, match="too alike"):
        check_distinct(names)


def test_names_that_differ_are_accepted() -> None:
    check_distinct(["w.a", "w.b", "w-a", "é", "e", "è"])


def test_a_key_is_taken_apart() -> None:
    down = "model.layers.5.mlp.down_proj.weight"
    assert split_key(f"{down}::lowrank.0.A") == (down, "lowrank", "0.A")
    assert split_key(f"{down}::aux.keys.mean-1") == (down, "aux", "keys.mean-1")
    assert join_key(down, "lowrank", 0, "A") == f"{down}::lowrank.0.A"
    assert join_key(down, "lowrank", "0.A") == f"{down}::lowrank.0.A"
    assert join_key(down, "aux", "keys") == f"{down}::aux.keys"


@pytest.mark.parametrize(
    "key",
    [
        "w",
        "w::",
        "::lowrank.0.A",
        "w::lowrank",
        "w::lowrank.A",
        "w::lowrank.0",
        "w::lowrank.00.A",
        "w::lowrank.-1.A",
        "w::lowrank.999999.A",
        "w::lowrank.0.A.B",
        "w::lowrank.0.A\n",
        "w::LowRank.0.A",
        "w:::lowrank.0.A",
        "w::x::lowrank.0.A",
        "w::aux",
        "w::aux.",
        "w::aux.a/b",
        "a/..::aux.keys",
        "..::lowrank.0.A",
    ],
)
def test_what_is_not_a_key_is_refused(key: str) -> None:
    with pytest.raises(NameRefused):
        split_key(key)


@pytest.mark.parametrize(
    ("parameter", "operation", "rest"),
    [
        ("a::b", "lowrank", "0.A"),
        ("a", "lowrank", "A"),
        ("a:", "lowrank", "0.A"),
        ("", "aux", "keys"),
        ("w", "aux", ""),
        ("w" * 250, "lowrank", "0.A"),
    ],
)
def test_what_could_not_be_taken_apart_is_not_put_together(
    parameter: str, operation: str, rest: str
) -> None:
    with pytest.raises(NameRefused):
        join_key(parameter, operation, rest)


@given(
    st.text("ab.:/_-0A", max_size=12), st.text("ab_0X", max_size=4), st.text("0a.b1", max_size=6)
)
def test_a_key_put_together_is_taken_apart_the_same(
    parameter: str, operation: str, rest: str
) -> None:
    try:
        key = join_key(parameter, operation, rest)
    except NameRefused:
        return
    assert split_key(key) == (parameter, operation, rest)


@pytest.mark.parametrize(
    "name", ["acme/fix", "a/b", "acme/fix-2.1_final", "0x/9", f"{'a' * 96}/{'b' * 96}", "con1/icon"]
)
def test_a_patch_name_is_accepted_here_and_on_the_hub(name: str) -> None:
    assert check_patch_name(name) == name
    validate_repo_id(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "fix",
        "/fix",
        "acme/",
        "acme/fix/2",
        "acme/Fix",
        "acme/fix\n",
        "acme/-fix",
        "acme/fix-",
        "acme/.fix",
        "acme/fix_",
        "acme/a--b",
        "acme/a..b",
        "acme/fix.git",
        "acme.git/fix",
        "acme/fix.ipc",
        "acme/con",
        "con/fix",
        "acme/nul.txt",
        "acme/com1",
        "acme/lpt9.tar.gz",
        "acme/aux",
        "acme/fix fix",
        "acme/f\u0456x",
        "acme\\fix",
        f"acme/{'a' * 97}",
        f"{'a' * 97}/fix",
    ],
)
def test_a_bad_patch_name_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(NameRefused) as caught:
        check_patch_name(name)
    assert caught.value.hint
    assert caught.value.message.isprintable()


def test_the_hint_proposes_a_name_that_would_do() -> None:
    with pytest.raises(NameRefused) as caught:
        check_patch_name("Acme Corp/My  Fix!")
    assert caught.value.hint == "try acme-corp/my-fix"


def refused(name: str) -> NameRefused | None:
    try:
        check_patch_name(name)
    except NameRefused as error:
        return error
    return None


def test_a_name_that_is_too_long_is_said_to_be_so_and_cut() -> None:
    with pytest.raises(NameRefused) as caught:
        check_patch_name(f"acme/{'a' * 97}")
    assert "longer than 96" in str(caught.value.why)
    assert caught.value.hint == f"try acme/{'a' * 96}"


@given(st.text("aZ0.-_/ é", max_size=12).map(lambda text: f"{text[:6]}/{text[6:]}"))
def test_what_is_accepted_or_proposed_is_a_name_on_the_hub(name: str) -> None:
    error = refused(name)
    if error:
        assert error.hint
        name = error.hint.removeprefix("try ").removeprefix("write NAMESPACE/NAME, as in ")
    assert check_patch_name(name) == name
    validate_repo_id(name)


def test_a_quoted_name_is_short_and_printable() -> None:
    assert quoted("w\x1b[31m") == "'w\\x1b[31m'"
    assert len(quoted("w" * 10_000)) < 100
