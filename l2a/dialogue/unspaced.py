"""Scripts that write without spaces: where words are counted, each of their characters counts as one."""

from __future__ import annotations

UNSPACED = r"[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
"""Regular expression of one such character: Thai, Lao, Tibetan, Burmese, Khmer, kana and Chinese characters."""
