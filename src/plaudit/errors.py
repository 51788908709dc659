"""The errors plaudit raises; each says what was given, what was expected and what to do."""

from __future__ import annotations


class PlauditError(Exception):
    """Base of every error that plaudit raises on purpose."""


class SpecError(PlauditError, ValueError):
    """A reward's description (a spec, a field, a name) cannot be turned into a reward."""


class DataError(PlauditError, ValueError):
    """Rows of data cannot be used; the message names file, row and field."""


class ContractError(PlauditError, TypeError):
    """A reward breaks the contract: it returned, declared or lacks something that it must not."""


class RunError(PlauditError, RuntimeError):
    """A run cannot go on: its folder is taken, full, or belongs to another reward."""


class TooManyFailures(RunError):
    """The share of FAILED samples passed the threshold that the run was given."""


class ModelError(PlauditError, RuntimeError):
    """A language model cannot be reached or used as configured."""


class SetupError(PlauditError):
    """Something that no sample can change is missing: it is raised, and never becomes the FAILED of a sample."""


class MissingExtra(SetupError, ImportError):
    """A room's optional libraries are not installed.

    >>> str(MissingExtra("math_verify", "math"))
    "math_verify is not installed: pip install 'plaudit[math]'"
    """

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed: pip install 'plaudit[{extra}]'")
        self.module = module
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return MissingExtra, (self.module, self.extra)
