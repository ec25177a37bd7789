"""Made-up production logs with known truth, of any size: `l2a synth`.

    spec = LogSpec(dialogues=1_000, seed=7)
    for line in lines(spec): ...                     # bytes, without the line end
    summary = write_log(spec, Path("log.jsonl.gz"), truth=Path("truth.jsonl"))

A dialogue depends on (seed, index) and the share of failed ones alone, so a longer log starts like a shorter one;
memory does not grow with the size. What the users supplied (facts), what was asked in vain, which lines are repeats
and which are broken stands in the truth file and never in the log.
"""

from l2a.synth.entries import Entry, entries, lines
from l2a.synth.nights import write_nights
from l2a.synth.spec import FORMATS, LogSpec
from l2a.synth.write import Summary, write_log

__all__ = ["FORMATS", "Entry", "LogSpec", "Summary", "entries", "lines", "write_log", "write_nights"]
