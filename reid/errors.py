"""The one exception a user is meant to read."""


class UserError(ValueError):
    """Bad input, told in one line that names the file, key or option and the way out.

    The entry points print it on stderr and exit with code 2; library callers can catch it as a ``ValueError``.
    """
