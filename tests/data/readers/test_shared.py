"""What readers share, where no test of a reader shows it."""

import doctest

from reid.data.readers import shared


def test_examples() -> None:
    assert doctest.testmod(shared) == (0, 2)
