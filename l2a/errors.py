"""The errors that l2a raises on purpose. Every message says what happened, to what, and what to do.

    L2AError                      exit code 1
    ├── UsageError                exit code 2: wrong arguments, settings or files named by the user
    │   └── MappingError          a mapping file that cannot be understood
    ├── TableError                a warehouse or a table that cannot be used
    │   ├── TableMissing          a step needs a table that an earlier step has not written yet
    │   ├── TableIncompatible     written by another l2a, or not by l2a at all
    │   └── ContractBroken        rows that would break a table's contract; nothing was committed
    ├── InputUnreadable           a log file that is damaged, or still being written
    ├── EnvironmentProblem        Java, jars, disk, ports: `l2a doctor` says more
    ├── JobError                  a job that cannot be started, found or stopped (l2a.launch)
    │   ├── JobRefused            it would run beside one that it must not run beside
    │   ├── NotTaken              the other side refused it
    │   └── JobOver               it failed or was cancelled
    ├── ChecksFailed              tables that do not say what they must; nothing was changed
    └── TooManyFailures           more rows failed than --max-failed-share allows; what was finished is kept

The command line prints the message, without a traceback, and ends with the exit code.
"""


class L2AError(Exception):
    """Base of every error that l2a raises on purpose."""

    exit_code = 1


class UsageError(L2AError):
    """The user's arguments, settings or files are wrong; nothing was done."""

    exit_code = 2


class MappingError(UsageError):
    """A mapping file that cannot be understood."""


class TableError(L2AError):
    """A warehouse or a table that cannot be used as it is."""


class TableMissing(TableError):
    """A step needs a table that an earlier step has not written yet."""


class TableIncompatible(TableError):
    """A table that this version of l2a must not read or write."""


class ContractBroken(TableError):
    """Rows that would break a table's contract. Nothing was committed."""


class InputUnreadable(L2AError):
    """A log file that cannot be read to its end. Nothing of the run was taken."""


class EnvironmentProblem(L2AError):
    """Something on this machine is missing or wrong."""


class TooManyFailures(L2AError):
    """More rows failed than allowed. What was finished is kept."""


class JobError(L2AError):
    """A job that cannot be started, found or stopped."""


class JobRefused(JobError):
    """A job that would run beside one that it must not run beside."""


class NotTaken(JobError):
    """A job that was refused: nothing of it was started, so it counts as never submitted."""


class JobOver(JobError):
    """A job that failed or was cancelled: nothing more comes of it by itself."""


class ChecksFailed(L2AError):
    """Tables do not say what they must. Nothing was changed."""
