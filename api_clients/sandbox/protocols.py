"""Every provider's protocol. Adding one is a line here."""

from __future__ import annotations

from .apixo import Apixo
from .fal import Fal
from .pixazo import Pixazo
from .protocol import Protocol

PROTOCOLS: tuple[type[Protocol], ...] = (Pixazo, Apixo, Fal)
