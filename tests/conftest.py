"""Shared by all tests: the entry points, the package and ``reference`` are importable, and torch uses one thread."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

_TESTS = Path(__file__).parent
for _folder in (_TESTS, _TESTS.parent):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Several test processes share the machine, and sums come out the same on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def as_at_a_terminal() -> None:
    """SIGHUP does what it does at a terminal where the tests run under ``nohup`` too."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of ``scripts/test.sh``."""
    parser.addoption("--rank-cases", type=int, default=120, help="random problems in tests/evaluation/test_exact_ranks")


@pytest.fixture
def rank_cases(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--rank-cases"))
