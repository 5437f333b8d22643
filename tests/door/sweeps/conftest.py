from pathlib import Path

import pytest

from reid.data import toy as toy_set


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "toy"
    toy_set.render(root, train_identities=8, test_identities=4)
    return root
