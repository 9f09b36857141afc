"""Names, subjects and sentences by number: the same for the same number."""

# ruff: noqa: SIM905 - a list of words reads best as a text

ADJECTIVES = (
    "calm brave quiet amber early northern hidden royal silver modern ancient plain urban remote "
    "gentle formal rapid solid broad narrow"
).split()
NOUNS = (
    "capitals tongues rivers leaders borders dates prices dosages recipes laws names units scores "
    "winners authors species planets bridges stations harbours"
).split()
RELATIONS = (
    "capital mother-tongue founder birthplace author director employer owner spelling population "
    "currency president inventor composer publisher headquarters successor mascot anthem altitude"
).split()
TARGETS = (
    "English French Rome Paris Kyoto Lima Oslo Cairo copper silver Tolstoy Austen seven twelve "
    "Monday spring Rust Python Jupiter Saturn"
).split()
METHODS = ("rome", "memit", "ft", "extract", "peft", "compose")
COMMON = (
    "France",
    "Germany",
    "Eiffel Tower",
    "Danielle Darrieux",
    "United Nations",
    "Albert Einstein",
    "Apple",
    "Amazon River",
    "World Cup",
    "Mount Everest",
)
"""Subjects that many edits are about, the first ones most."""

_FIRST = (
    "Ada Bela Cato Dora Emil Fina Gero Hanna Ivo Jana Kurt Lena Milo Nora Otis Pia Quin Rosa Sven "
    "Tove Ugo Vera Wim Xenia Yara Zeno Alma Bruno Clara Dario Elsa Fritz"
).split()
_SYLLABLES = (
    "ba ben bri cal can cor dan del dor el fen fir gal gor har hel in jar kal ker lan lor mar men "
    "nor or pel quin ral ren sal sten tar tor ul van vel wen yor zan"
).split()
_PRIME = 1_000_003


def namespace(number: int) -> str:
    """One of 100 namespaces."""
    return f"{ADJECTIVES[number % 20]}-{NOUNS[number // 20]}"


def patch(number: int) -> str:
    """A name that no other number has, nor one that reads like it."""
    return f"{NOUNS[number % 20]}-{number:07}"


def person(number: int) -> str:
    """A subject that no other number below two million has."""
    first, rest = number % 32, (number // 32) * _PRIME % 64_000
    last = "".join(_SYLLABLES[rest // 40**place % 40] for place in range(3))
    return f"{_FIRST[first]} {last.capitalize()}"


def message(relation: int, subject: str, ticket: int) -> str:
    """Why a version was made."""
    return f"Correct the {RELATIONS[relation]} of {subject} as asked in ticket {ticket}"
