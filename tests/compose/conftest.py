"""The rehearsal of docker-compose.distributed.yml. For `tests/run compose`, which has made Docker and
the images ready (tests/compose/engine) and says so in the environment: COMPOSE, DOCKER_HOST."""

import pytest

import project
from measured import report  # noqa: F401  the fixture


@pytest.fixture(scope="session")
def up():
    """The whole of it, brought up as the file says and taken down again."""
    brought = project.Project()
    try:
        brought.up()
        yield brought
    finally:
        brought.close()
