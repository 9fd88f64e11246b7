"""The rigs explain what they find, as the tests themselves do."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.s3.rigs")
