"""Two changes that were made side by side may have taken one number for their migrations."""

from infra.migrations import migrations


def test_migrations_are_numbered_in_order() -> None:
    assert migrations(), "it raises MigrationError for a number that is there twice or left out"
