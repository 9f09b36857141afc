"""Every error of the arithmetic and the format, each with a code a program can match.

WeightpatchError
├── InputError            what was given cannot be used                    exit 1
│   ├── FormatError       E_FORMAT      not a well-formed delta file
│   ├── ManifestError     E_MANIFEST    patch.json is malformed or contradicts the files
│   ├── NameRefused       E_NAME        a name outside the allowed alphabet
│   ├── LimitExceeded     E_LIMIT       larger than a documented limit
│   ├── TooBig            E_TOO_BIG     small on disk, huge when unfolded
│   ├── NonFinite         E_NONFINITE   NaN or infinity, given or computed
│   ├── OffGrid           E_GRID        factors that cannot be multiplied exactly
│   ├── ShapeMismatch     E_SHAPE       parts that do not fit together or the tensor
│   ├── BaseMismatch      E_BASE        made for another base, or a base that was changed
│   ├── DigestMismatch    E_DIGEST      bytes that are not those promised
│   ├── SizeMismatch      E_SIZE        longer or shorter than promised
│   ├── PathRefused       E_PATH        a link, a device, or a path that leaves its folder
│   ├── ExtraFile         E_EXTRA       a file that the manifest does not list
│   ├── RequestRefused    E_REQUEST     an edit request that cannot be carried out
│   ├── CheckpointRefused E_CHECKPOINT  a folder that is not a readable checkpoint
│   ├── Unsupported       E_UNSUPPORTED an architecture or type not known here
│   └── PluginMissing     E_PLUGIN      an operation, method, suite, data set … not installed
├── TargetExists          E_EXISTS      the place to write to is taken          exit 1
├── NoSpace               E_SPACE       the disk is too full                    exit 1
└── AnswerIsNo            the question was understood, the answer is no     exit 3
    ├── ConflictFound     E_CONFLICT    patches that cannot be used together
    ├── GateFailed        E_GATE        scores that do not meet the conditions set
    └── VerificationFailed E_VERIFY     what is there is not what was recorded
"""


class WeightpatchError(Exception):
    """Root of all errors raised on purpose.

    `message` says what is wrong, `why` what that means, `hint` what to do next; `code` is stable.
    """

    code = "E_FAILED"
    exit_code = 1

    def __init__(self, message: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.why = why
        self.hint = hint


class InputError(WeightpatchError):
    """What was given cannot be used."""


class FormatError(InputError):
    """A delta file, or another file with a fixed form, is malformed."""

    code = "E_FORMAT"


class ManifestError(InputError):
    """patch.json is malformed, or contradicts the files beside it."""

    code = "E_MANIFEST"


class NameRefused(InputError):
    """A name is outside the allowed alphabet."""

    code = "E_NAME"


class LimitExceeded(InputError):
    """Something is larger than a documented limit."""

    code = "E_LIMIT"


class TooBig(InputError):
    """Something small on disk would be huge when unfolded."""

    code = "E_TOO_BIG"


class NonFinite(InputError):
    """A NaN or an infinity, given or computed."""

    code = "E_NONFINITE"


class OffGrid(InputError):
    """Factors whose product floating point cannot hold exactly."""

    code = "E_GRID"


class ShapeMismatch(InputError):
    """Parts that do not fit together, or do not fit the tensor."""

    code = "E_SHAPE"


class BaseMismatch(InputError):
    """The patch was made for another base, or the base was changed."""

    code = "E_BASE"


class DigestMismatch(InputError):
    """Bytes that are not those that were promised."""

    code = "E_DIGEST"


class SizeMismatch(InputError):
    """A file longer or shorter than promised."""

    code = "E_SIZE"


class PathRefused(InputError):
    """A link, a device, or a path that leaves its folder."""

    code = "E_PATH"


class ExtraFile(InputError):
    """A file that the manifest does not list."""

    code = "E_EXTRA"


class RequestRefused(InputError):
    """An edit request that cannot be carried out."""

    code = "E_REQUEST"


class CheckpointRefused(InputError):
    """A folder that is not a readable checkpoint."""

    code = "E_CHECKPOINT"


class Unsupported(InputError):
    """An architecture, type or device that is not known here."""

    code = "E_UNSUPPORTED"


class PluginMissing(InputError):
    """An operation, method, suite or remote that is not installed."""

    code = "E_PLUGIN"


class TargetExists(WeightpatchError):
    """The place to write to is taken."""

    code = "E_EXISTS"


class NoSpace(WeightpatchError):
    """The disk is too full for what is to be written."""

    code = "E_SPACE"


class AnswerIsNo(WeightpatchError):
    """The question was understood and the answer is no."""

    exit_code = 3


class ConflictFound(AnswerIsNo):
    """Patches that cannot be used together."""

    code = "E_CONFLICT"


class GateFailed(AnswerIsNo):
    """Scores do not meet the conditions that were set."""

    code = "E_GATE"


class VerificationFailed(AnswerIsNo):
    """What is there is not what was recorded."""

    code = "E_VERIFY"
