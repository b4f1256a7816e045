"""An embedded provider: the documented protocols of all providers, answered by this machine.

It is written from the providers' pages and shares no protocol code with our client, so that the two check
each other. It validates by the models' declarations, and really upscales, by Lanczos resampling.
"""

from .exchange import Recorded, Stage
from .hooks import Hooks
from .jobs import Delays, Job, State
from .server import Sandbox, serve
from .upscale_image import MARK

__all__ = ["MARK", "Delays", "Hooks", "Job", "Recorded", "Sandbox", "Stage", "State", "serve"]
