"""The node that says how jobs are run."""

# ComfyUI is not installed where types are checked.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedBaseClass=false
from __future__ import annotations

from decimal import Decimal
from typing import Any

from comfy_api.latest import io

from .options import OnFailure, RunOptions
from .schema import Options


class RunOptionsNode(io.ComfyNode):
    """Gives run options to any number of upscaling nodes."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node's inputs and outputs."""
        return io.Schema(
            node_id="RemoteUpscaleOptions",
            display_name="Remote Upscale Options",
            category="Remote Upscale",
            description="How the jobs of upscaling nodes are run. Models' own parameters are on the nodes.",
            inputs=[
                io.String.Input(
                    "account",
                    default="",
                    tooltip="Name of an account in credentials.toml, never a key itself. Empty: the keys of "
                    "the environment, then those of the account named default.",
                ),
                io.Float.Input(
                    "time_limit",
                    default=0.0,
                    min=0.0,
                    max=86400.0,
                    step=1.0,
                    tooltip="Seconds after which the node stops waiting for a job; a later run fetches its "
                    "result without paying again. 0: the limits of the settings.",
                ),
                io.Boolean.Input(
                    "reuse",
                    default=True,
                    tooltip="Use an earlier result of the same picture and parameters, and join running "
                    "jobs. Off: every run is paid for.",
                ),
                io.Combo.Input(
                    "on_failure",
                    options=[str(way) for way in OnFailure],
                    default=str(OnFailure.STOP),
                    tooltip="If a picture of a batch fails: stop, or keep its source, scaled by Lanczos and "
                    "noted in the report.",
                ),
                io.Boolean.Input(
                    "private",
                    default=False,
                    tooltip="Have results sent inside the reply (sync_mode), so that the provider does not "
                    "keep them. Has no effect on models that do not offer this.",
                ),
                io.Float.Input(
                    "max_cost",
                    default=0.0,
                    min=0.0,
                    max=100000.0,
                    step=0.01,
                    tooltip="Most US dollars that a node's jobs may cost together; jobs without a known "
                    "price are then refused. 0: no limit.",
                ),
                io.Boolean.Input(
                    "order_unanswered",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Order jobs again that were sent before and never answered, although both may be "
                    "charged. Everything else is still reused.",
                ),
            ],
            outputs=[Options.Output("options")],
        )

    @classmethod
    def execute(
        cls,
        *,
        account: str,
        time_limit: float,
        reuse: bool,
        on_failure: str,
        private: bool,
        max_cost: float,
        order_unanswered: bool = False,
    ) -> Any:
        """Run the node."""
        return io.NodeOutput(
            RunOptions(
                account=account.strip(),
                time_limit=time_limit or None,
                reuse=reuse,
                order_unanswered=order_unanswered,
                on_failure=OnFailure(on_failure),
                private=private,
                max_cost=Decimal(str(max_cost)) if max_cost else None,
            )
        )
