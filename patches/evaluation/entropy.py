"""How varied a text is: the entropy of its n-grams, which falls when a model repeats itself.

Zhang et al. 2018 (arXiv:1809.05972); with these weights GE in Meng et al. 2022 (arXiv:2202.05262).
"""

import math
import re
from collections import Counter

from .measures import mean

_WORD = re.compile(r"\w+|[^\w\s]")
_WEIGHTS = {2: 2 / 3, 3: 4 / 3}


def ngram_entropy(text: str) -> float:
    """(2/3 H2 + 4/3 H3) / 2, H_n the entropy in bits of the frequencies of n words in a row."""
    words = _WORD.findall(text)
    return mean([weight * _entropy(words, n) for n, weight in _WEIGHTS.items()])


def _entropy(words: list[str], n: int) -> float:
    counts = Counter(zip(*(words[start:] for start in range(n)), strict=False))
    whole = counts.total()
    return math.fsum(count / whole * math.log2(whole / count) for count in counts.values())
