"""Versions found by what is known of them."""

import re
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event
from weightpatch.patches.errors import InputError, LimitExceeded
from weightpatch.patches.evaluation.base import Evaluation, Score
from weightpatch.registry.errors import NotFound, QueryRefused
from weightpatch.registry.versions.score_conditions import ScoreCondition
from weightpatch.registry.versions.tensor_names import matching, touched

TENSOR = "model.layers.0.mlp.down_proj.weight"


@pytest.fixture
def found(registry):
    """Names of the patches that a search finds."""
    return lambda *text, **wanted: [
        info.name.removeprefix("acme/") for info in registry.search(*text, **wanted)
    ]


@pytest.fixture
def score(registry):
    """Record an evaluation that gives a measure a value."""

    def record(info, measure: str, value: float, base: str = "f" * 64, suite: str = "s") -> None:
        scores = (Score("1", measure, None, value, 1),)
        registry.record_evaluation(
            info.digest, base, Evaluation(suite, "0" * 64, {measure: "A measure."}, scores, {})
        )

    return record


def test_every_word_must_be_there_wherever_a_person_wrote_it(registry, make_draft, found):
    registry.publish(make_draft("acme/a", seed=1, message="100% English"))
    registry.publish(make_draft("acme/b", seed=2, subject="Léon Blum", target="Polish"))
    registry.publish(make_draft("acme/c", seed=3, author="Grace Hopper"))

    assert found("ENGLISH 100") == ["a"]
    assert found("english") == ["c", "a"]
    assert found("leon, BLUM!") == ["b"]
    assert found("polish rome") == ["b"]
    assert found("hopper") == ["c"]
    assert found("acme") == ["c", "b", "a"]
    assert found("eng") == []
    assert found("polish hopper") == []


def test_what_is_exact_is_equal_as_a_whole(registry, make_draft, found):
    registry.publish(make_draft("acme/a", subject="Léon Blum", author="Grace"))
    registry.publish(make_draft("acme/b", subject="Léon Blum the younger"))
    assert found(subject="leon  blum") == ["a"]
    assert found(author="Grace") == ["a"]
    assert found(author="grace") == []
    assert found(method="rome") == ["b", "a"]
    assert found(method="memit") == []


def test_all_that_is_given_must_hold(registry, make_draft, found):
    registry.publish(make_draft("acme/a", author="ada", subject="X"))
    registry.publish(make_draft("acme/b", author="bob", subject="X"))
    assert found("x", author="ada", subject="x", method="rome", base="pico") == ["a"]
    assert found("x", author="ada", subject="y") == []
    assert found() == ["b", "a"]


def test_a_base_by_name_and_revision(registry, make_draft, found):
    registry.publish(make_draft("acme/a", seed=1, base_id="org/model", revision="abc"))
    registry.publish(make_draft("acme/b", seed=2, base_id="org/model", revision="def"))
    registry.publish(make_draft("acme/c", seed=3, base_id="org/model@odd"))
    assert found(base="org/model") == ["b", "a"]
    assert found(base="org/model@abc") == ["a"]
    assert found(base="org/model@odd") == ["c"]
    assert found(base="org/model@") == []
    assert found(base="org") == []


def test_a_base_by_its_very_tensors(registry, pico, found):
    base, other = pico.base(), pico.base("other", seed=1)
    registry.admit(pico.patch(base, "acme/one"))
    registry.admit(pico.patch(other, "acme/two"))
    both = {pico.DOWN: [pico.lowrank((6, 10))], pico.UP: [pico.lowrank((10, 6))]}
    registry.admit(pico.patch(base, "acme/both", operations=both))

    assert found(base=base) == ["both", "one"]
    assert found(base=other) == ["two"]
    assert found(base=pico.base("third", seed=2)) == []
    record = registry.patch("acme/one").manifest.bases[0]
    assert found(base=record) == ["one"]


def test_equal_tensors_under_other_names_do_not_fit(registry, pico, found):
    tensors = pico.tensors()
    base = pico.base_of(tensors)
    registry.admit(pico.patch(base, "acme/one"))
    swapped = {**tensors, "elsewhere": tensors[pico.DOWN], pico.DOWN: tensors[pico.DOWN] * 0}
    assert found(base=pico.base_of(swapped, "swapped")) == []


def test_a_tensor_by_name_or_pattern(registry, pico, found):
    base = pico.base()
    registry.admit(pico.patch(base, "acme/down"))
    registry.admit(pico.patch(base, "acme/up", operations={pico.UP: [pico.lowrank((10, 6))]}))
    assert found(tensor=pico.DOWN) == ["down"]
    assert found(tensor="model.layers.*.weight") == ["up", "down"]
    assert found(tensor="*up_proj*") == ["up"]
    assert found(tensor="model.*.down") == []
    assert found(tensor="model.layers._.mlp.down_proj.weight") == []
    assert found(tensor="*.*.*.*.*.*.*.*") == []


def test_the_names_of_all_touched_tensors(registry, pico, found):
    assert found(tensor="*") == []
    base = pico.base()
    operations = {name: [pico.dense((6,))] for name in (pico.NORM,)} | {
        pico.DOWN: [pico.lowrank((6, 10)), pico.lowrank((6, 10), seed=2)]
    }
    registry.admit(pico.patch(base, "acme/a", operations=operations))
    with registry._store.database.reading() as connection:
        assert touched(connection) == sorted((pico.DOWN, pico.NORM))
        assert matching(connection, "*norm*") == [pico.NORM]


def test_a_score_is_that_of_the_last_evaluation(registry, make_draft, found, score):
    a = registry.publish(make_draft("acme/a"))
    b = registry.publish(make_draft("acme/b"))
    registry.publish(make_draft("acme/unscored"))
    score(a, "locality.exact-match", 0.95)
    score(b, "locality.exact-match", 0.95)
    score(b, "locality.exact-match", 0.5)
    score(b, "rome.es", 1.0)
    assert found(scores=["locality>=0.9"]) == ["a"]
    assert found(scores=["locality.exact-match <= 0.5"]) == ["b"]
    assert found(scores=["locality>0.4", "rome.es=1"]) == ["b"]
    assert found(scores=["locality>0.95"]) == []
    with pytest.raises(QueryRefused, match="unknown"):
        found(scores=["unknown>0"])


def test_many_scores_are_read_along_the_versions(registry, make_draft, found, score, monkeypatch):
    monkeypatch.setattr("weightpatch.registry.versions.postings.COUNTED", 1)
    for name, value in (("a", 0.95), ("b", 0.2), ("c", 0.9)):
        score(registry.publish(make_draft(f"acme/{name}")), "locality.exact-match", value)
    assert found(scores=["locality>=0.9"]) == ["c", "a"]


def test_a_score_of_an_aggregate(registry, make_draft, found):
    info = registry.publish(make_draft("acme/a"))
    scores = tuple(Score("1", f"rome.{name}", None, 0.9, 1) for name in ("es", "ps", "ns"))
    definitions = {each.measure: "A measure." for each in scores} | {"rome.score": "S."}
    registry.record_evaluation(
        info.digest, "f" * 64, Evaluation("s", "0" * 64, definitions, scores, {})
    )
    assert found(scores=["score>0.89"]) == ["a"]
    assert found(scores=["rome.score>0.91"]) == []


def test_with_a_base_only_its_evaluations_count(registry, pico, found, score):
    base, other = pico.base(), pico.base("other", seed=1)
    patch = pico.patch(base, "acme/one")
    info = registry.admit(patch)
    registry.record_base(base, location=str(base.path))
    registry.record_base(other, location=str(other.path))
    score(info, "locality.exact-match", 0.95, base=base.fingerprint)
    score(info, "locality.exact-match", 0.1, base=other.fingerprint)

    assert found(scores=["locality>0.9"]) == []
    assert found(scores=["locality>0.9"], base=base.id) == ["one"]
    assert found(scores=["locality>0.9"], base=base) == ["one"]
    assert found(scores=["locality<0.2"], base=base) == []
    score(info, "locality.exact-match", 0.3, base="e" * 64)
    assert found(scores=["locality=0.3"], base=base.id) == ["one"]


@pytest.mark.parametrize("text", ["x", "x=>1", "x>", ">1", "x>nan", "x>inf", "x>1e999", "x>1 2"])
def test_what_is_no_condition_on_a_score(text):
    with pytest.raises(InputError):
        ScoreCondition.parse(text)


def test_conditions_on_scores_are_read_as_they_are_written():
    assert ScoreCondition.parse(" locality >= .9 ") == ScoreCondition(
        "locality.exact-match", ">=", 0.9
    )
    assert ScoreCondition.parse("score<1") == ScoreCondition("rome.score", "<", 1.0)
    assert ScoreCondition.parse("rome.em>-5e-1") == ScoreCondition("rome.em", ">", -0.5)


def test_deleted_versions_are_not_found_and_yanked_ones_are_marked(registry, make_draft):
    registry.publish(make_draft("acme/a", seed=1))
    registry.publish(make_draft("acme/b", seed=2))
    registry.yank("acme/a@1", reason="wrong")
    registry.delete("acme/b@1", reason="worse")
    (info,) = registry.search("acme")
    assert (info.label, info.standing.state) == ("acme/a@1", "yanked")
    registry.restore("acme/b@1", reason="not so bad")
    assert len(registry.search("acme")) == 2


def test_pages_join_without_gap_or_overlap(registry, make_draft):
    for seed in range(7):
        registry.publish(make_draft(seed=seed))
    whole = registry.search("tongues")
    pages, page = [], registry.search("tongues", limit=2)
    while page:
        pages += page
        page = registry.search("tongues", limit=2, before=page[-1].digest)
    assert pages == whole == registry.versions()
    assert registry.search("tongues", limit=0) == registry.search("tongues", limit=-1) == []


def test_a_page_of_a_checkpoint_goes_past_what_does_not_fit(registry, pico, found):
    tensors = pico.tensors()
    base = pico.base_of(tensors)
    near = pico.base_of({**tensors, pico.UP: tensors[pico.UP] * 0}, "near")
    both = {pico.DOWN: [pico.lowrank((6, 10))], pico.UP: [pico.lowrank((10, 6))]}
    registry.admit(pico.patch(base, "acme/first", operations=both))
    for number in range(5):
        registry.admit(pico.patch(near, f"acme/near{number}", operations=both))
    assert found(base=base, limit=2) == ["first"]


def test_small_pages_of_a_checkpoint_look_at_many_versions_at_once(registry, make_draft):
    base = make_draft().manifest.bases[0]
    name, tensor = next(iter(base.tensors.items()))
    other = replace(base, tensors={f"{name}.other": tensor})
    for seed in range(12):
        registry.publish(make_draft(seed=seed))
    few, many = (_asked(registry, base=other, limit=limit) for limit in (1, 200))
    assert few == many
    assert [info.version for info in registry.search(base=base, limit=3)] == [12, 11, 10]


def test_a_record_of_a_base_does_not_say_on_which_checkpoint_was_measured(
    registry, make_draft, found, score
):
    draft = make_draft("acme/a")
    score(registry.publish(draft), "locality.exact-match", 0.95, base="e" * 64)
    assert found(base=draft.manifest.bases[0], scores=["locality>=0.9"]) == ["a"]


def _asked(registry, **wanted) -> int:
    """How many statements a search that finds nothing takes."""
    statements: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert registry.search(**wanted) == []
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return len(statements)


def test_a_page_below_an_unknown_version(registry):
    for digest in ("0" * 64, "", "\x00", "\ud800", "' OR 1=1 --"):
        with pytest.raises(NotFound):
            registry.search("x", before=digest)


@pytest.mark.parametrize("field", ["text", "base", "method", "author", "tensor", "subject"])
def test_text_that_no_version_can_have_is_refused(registry, field):
    for bad in ("a\x00b", "a\udcffb"):
        with pytest.raises(InputError):
            registry.search(**{field: bad})
    with pytest.raises(LimitExceeded):
        registry.search(**{field: "x" * 1_000_000})


def test_a_text_without_words_or_with_too_many_is_refused(registry):
    for empty in ("%", "_", "\\", "' --", ""):
        with pytest.raises(InputError, match="no word"):
            registry.search(empty)
    with pytest.raises(LimitExceeded):
        registry.search(" ".join(f"w{i}" for i in range(100)))


@pytest.mark.parametrize("evil", ["'); DROP TABLE version; --", '" OR 1=1', "x%_*?[a]", "*" * 200])
def test_sql_and_patterns_are_only_text(registry, make_draft, found, evil):
    registry.publish(make_draft("acme/a"))
    for field in ("base", "method", "author", "subject"):
        assert found(**{field: evil}) == []
    assert found(tensor=evil) == (["a"] if set(evil) == {"*"} else [])
    with pytest.raises(InputError):
        registry.search(scores=[evil])
    assert found("acme") == ["a"]


class TestOnSQLite:
    """A new registry has no statistics: each search must read along an index by itself."""

    @pytest.fixture
    def dialect(self) -> str:
        return "sqlite"

    @pytest.mark.parametrize(
        "wanted",
        [
            {"text": "acme rome"},
            {"subject": "danielle darrieux"},
            {"base": "pico"},
            {"base": "pico@abc"},
            {"author": "ada"},
            {"method": "rome"},
            {"tensor": TENSOR},
            {"tensor": "model.*", "base": "pico"},
            {"base": "pico", "subject": "danielle darrieux", "text": "acme"},
            {"base": "pico", "scores": ["locality>0.5"]},
        ],
    )
    def test_nothing_is_sorted_and_no_table_read_from_end_to_end(
        self, registry, make_draft, make_evaluation, sql, wanted
    ):
        info = registry.publish(make_draft(revision="abc"))
        registry.record_evaluation(info.digest, "f" * 64, make_evaluation())
        statements = []

        def note(_connection, _cursor, statement, parameters, *_rest) -> None:
            if "SELECT" in statement:
                statements.append((statement, parameters))

        event.listen(Engine, "before_cursor_execute", note)
        try:
            assert [each.label for each in registry.search(**wanted)] == [info.label]
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        tables = "version|version_base|version_tensor|operation|term|request|mean|evaluation"
        for statement, parameters in statements:
            if " IN (" in statement:
                continue
            for row in sql(f"EXPLAIN QUERY PLAN {statement}", *parameters):
                assert not re.match(rf"SCAN ({tables})(_\d+)?\b(?! AS)", row[3]), row
                assert "FOR ORDER BY" not in row[3], (statement, row)
