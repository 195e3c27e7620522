"""A store of secrets in memory."""

from shared.errors import Unavailable


class MemorySecrets:
    """A SecretStore. `down`: it does not answer."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.down = False

    async def put(self, name: str, value: str) -> None:
        self._check()
        self.kept[name] = value

    async def get(self, name: str) -> str | None:
        self._check()
        return self.kept.get(name)

    async def delete(self, name: str) -> None:
        self._check()
        self.kept.pop(name, None)

    async def close(self) -> None:
        """Nothing to close."""

    def _check(self) -> None:
        if self.down:
            raise Unavailable("down")
