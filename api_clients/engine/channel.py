"""A provider together with the means to talk to it: the client, the key, the settings."""

from __future__ import annotations

from ..errors import AuthenticationFailed, Meaning
from ..http import Http
from ..http_messages import Reply, Request
from ..providers.base import Provider
from ..settings import KEY_VARIABLES, Settings


class Channel:
    """Sends a provider's requests, with its key and to its root only."""

    def __init__(self, provider: Provider, settings: Settings, http: Http) -> None:
        self.provider = provider
        self.settings = settings
        self._http = http

    async def call(self, request: Request, *, root: str | None = None) -> Reply:
        """One request and its reply, whatever its status; raises when there is no reply.

        Args:
            request: what to send.
            root: another configured one of the provider's than the usual.
        """
        key = require_key(self.provider, self.settings)
        return await self._http.call(
            request, root=root or self.provider.root, auth=self.provider.authorise(key)
        )


def require_key(provider: Provider | type[Provider], settings: Settings) -> str:
    """The provider's key.

    Raises:
        AuthenticationFailed: there is none; says which variable to set.
    """
    key = settings.keys.get(provider.name)
    if key is None:
        variable = KEY_VARIABLES.get(provider.name, f"{provider.name.upper()}_API_KEY")
        raise AuthenticationFailed(
            f"There is no key for {provider.title}.",
            hint=f"Set {variable} or put the key into credentials.toml; "
            "REMOTE_UPSCALE_SANDBOX=1 tries it without.",
            meaning=Meaning.NOT_SENT,
        )
    return key.reveal()
