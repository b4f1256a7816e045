"""Connections through a SOCKS proxy. Imported only where the environment names one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp_socks import ProxyConnectionError, ProxyConnector, ProxyError, ProxyTimeoutError, ProxyType

from .failures import ProxyRefused
from .proxies import Proxy

_KINDS = {4: ProxyType.SOCKS4, 5: ProxyType.SOCKS5}


class SocksConnector(ProxyConnector):
    """The proxy resolves names and connects. What fails before anything is sent fails as in aiohttp."""

    @classmethod
    def to(cls, proxy: Proxy, options: Mapping[str, Any]) -> Self:
        """The connector for a proxy that speaks SOCKS.

        Args:
            proxy: the proxy.
            options: those of aiohttp's ``TCPConnector``.
        """
        user, password = proxy.user or (None, None)
        kind = _KINDS[proxy.socks or 5]
        return cls(proxy.url.host, proxy.port, kind, username=user, password=password, rdns=True, **options)

    async def _wrap_create_connection(
        self, *args: Any, req: aiohttp.ClientRequest, **kwargs: Any
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        key = req.connection_key
        try:
            return await super()._wrap_create_connection(*args, req=req, **kwargs)  # pyright: ignore[reportUnknownMemberType]
        except ProxyTimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(str(error)) from error
        except ProxyError as error:
            raise ProxyRefused(key, OSError(0, str(error))) from error
        except ssl.SSLCertVerificationError as error:
            raise aiohttp.ClientConnectorCertificateError(key, error) from error
        except ssl.SSLError as error:
            raise aiohttp.ClientConnectorSSLError(key, error) from error
        except (ProxyConnectionError, OSError) as error:
            raise aiohttp.ClientProxyConnectionError(key, OSError(0, str(error))) from error
