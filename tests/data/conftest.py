from pathlib import Path

import pytest
from data.pictures import pictures

from reid.data.records import Record


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    return pictures(tmp_path / "pictures")
