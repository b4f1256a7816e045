"""Where tests may step into a running sandbox. A sandbox without them does what the pages say, at no cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sizes import Size
    from .exchange import Answer, Incoming
    from .jobs import Job


class Hooks:
    """Steps in nowhere; tests derive what does."""

    async def exchange(self, incoming: Incoming) -> Answer:
        """Answer a request; all else that can be done to it is up to whoever overrides this."""
        return await incoming.answer()

    async def before_input(self, job: Job) -> None:
        """Called before a job's input is fetched.

        Raises:
            InputRefused: the input is not to be had.
            JobEnded: the job is over.
        """

    async def before_work(self, job: Job) -> None:
        """Called before a job's input is enlarged.

        Raises:
            JobEnded: the job is over.
        """

    def result_size(self, job: Job, size: Size) -> Size:
        """The size of the result, which should be ``size``."""
        return size
