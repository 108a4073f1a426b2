import pytest
from processed_files import Processed


@pytest.fixture
def processed(tmp_path) -> Processed:
    return Processed(tmp_path)
