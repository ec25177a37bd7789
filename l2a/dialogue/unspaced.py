"""Letters beyond the Latin ones: scripts that write without spaces, and marks that belong to the letter before.

Where words are counted, each character of a script without spaces counts as one.
"""

from __future__ import annotations

import unicodedata

UNSPACED = r"[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
"""Regular expression of one such character: Thai, Lao, Tibetan, Burmese, Khmer, kana and Chinese characters."""

MARKS = "[{}]".format("".join(chr(c) for c in range(0x300, 0xFFFF) if unicodedata.category(chr(c))[0] == "M"))
"""Regular expression of one combining mark: a vowel sign of Hindi or Tamil, a vowel point, an accent of its own."""
