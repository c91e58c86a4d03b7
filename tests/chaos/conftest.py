"""The chaos suite: at full size, and with numbers."""

from measured import report  # noqa: F401  the fixture
