"""The one exception a user is meant to read."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input, told in one line that names the file, key or option and the way out.

    The entry points print it on stderr and exit with code 2; library callers can catch it as a ``ValueError``.
    """


def nearest(given: object, known: Iterable[str]) -> str:
    """The start of a way out: the known names most like the given one, or nothing."""
    near = difflib.get_close_matches(str(given), list(known), n=3)
    return f"did you mean {' or '.join(near)}? " if near else ""


def unknown(option: str, given: object, known: Iterable[str]) -> UserError:
    """The error for a name that is none of the known ones, with the nearest of these."""
    names = list(known)
    return UserError(f"{option}={given} is unknown: {nearest(given, names)}known are {', '.join(names)}")
