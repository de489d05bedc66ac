from collections.abc import AsyncIterator

import pytest

from tests.evaluator.bench import House


@pytest.fixture
async def house(database: str) -> AsyncIterator[House]:
    """The town's programme and one agreement, nothing applied yet."""
    house = await House.open(database)
    try:
        yield house
    finally:
        await house.close()
