"""A schema of the index that stays as it is."""

from shared.index_schema.schema import BUILT_IN, IndexSchema


class FixedSchemas:
    """What every process knows, without asking."""

    def __init__(self, schema: IndexSchema = BUILT_IN) -> None:
        self.known = schema

    async def current(self) -> IndexSchema:
        return self.known

    async def refresh(self) -> IndexSchema:
        return self.known

    async def at_least(self, number: int) -> IndexSchema:
        assert number <= self.known.latest
        return self.known

    def age(self) -> float:
        return 0.0

    async def disable(self, keys: object) -> None:
        raise AssertionError(f"A fixed schema has no tags: {keys}")

    async def reopen(self, number: int) -> None:
        raise AssertionError(f"Rows of a lower schema than {number} were found")
