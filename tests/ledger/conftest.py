import pytest
from remote_upscale.api_clients.ledger import Ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where a ledger is, in each of the two kinds of databases."""
    if request.param == "sqlite":
        return tmp_path / "home" / "ledger.sqlite"
    return request.getfixturevalue("postgresql_url")


@pytest.fixture
def ledger(place):
    ledger = Ledger(place)
    yield ledger
    ledger.close()


@pytest.fixture
def path(tmp_path):
    """The file of a ledger in SQLite."""
    return tmp_path / "home" / "ledger.sqlite"
