"""Several things asked about at a time."""

from threading import Event

from weightpatch.registry.remotes.hub.asking.together import AT_ONCE, together


def test_every_name_is_answered_once():
    names = [str(number) for number in range(100)]
    assert sorted(together(names, lambda name: f"{name}!")) == sorted((n, f"{n}!") for n in names)
    assert list(together([], str)) == []


def test_as_many_are_asked_at_once_as_it_says():
    names = [str(number) for number in range(AT_ONCE)]
    all_there = Event()
    asked = []

    def ask(name: str) -> bool:
        asked.append(name)
        if len(asked) == AT_ONCE:
            all_there.set()
        return all_there.wait(10)

    assert all(answer for _, answer in together(names, ask))


def test_who_stops_listening_waits_for_nobody_and_asks_no_more():
    never, asked = Event(), []

    def ask(name: str) -> str:
        asked.append(name)
        if name != "quick":
            never.wait(60)
        return name

    names = ["quick", *map(str, range(100))]
    answers = together(names, ask)
    assert next(answers) == ("quick", "quick")
    answers.close()
    never.set()

    assert len(asked) <= AT_ONCE + 1
