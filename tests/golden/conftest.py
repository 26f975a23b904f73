"""What the tests of rendered files share."""

from __future__ import annotations

import os

import pytest

from golden_files import Rendered, rendered_in


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """Return a function that gives the folder of a lab's rendered files."""
    own = tmp_path_factory.getbasetemp()
    return rendered_in((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "rendered")
