"""The sections `sweep` and `expect`: values by dotted path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, get_args

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.fields import Section, hashable, relation
from heinit_sim.config.schema.init import InitField
from heinit_sim.config.schema.network import ActivationField, ResidualField


class Sweep(Section):
    """Values to try, by dotted path; several paths make a grid, the last varying fastest."""

    network_depth: list[fields.Depth] = fields.swept("network.depth")
    network_width: list[fields.Width] = fields.swept("network.width")
    network_input_dim: list[fields.InputDim] = fields.swept("network.input_dim")
    network_image: list[fields.Image] = fields.swept("network.image")
    network_kernel: list[fields.Kernel] = fields.swept("network.kernel")
    network_channels: list[fields.Channels] = fields.swept("network.channels")
    network_input_channels: list[fields.InputChannels] = fields.swept("network.input_channels")
    network_padding: list[fields.Padding] = fields.swept("network.padding")
    network_readout: list[fields.Readout] = fields.swept("network.readout")
    network_output_dim: list[fields.OutputDim] = fields.swept("network.output_dim")
    network_activation: list[ActivationField] = fields.swept("network.activation")
    network_activation_negative_slope: list[fields.Slope] = fields.swept(
        "network.activation.negative_slope"
    )
    network_residual: list[ResidualField] = fields.swept("network.residual")
    network_residual_scale: list[fields.BlockScale] = fields.swept("network.residual.scale")
    network_residual_branch_layers: list[fields.BranchLayers] = fields.swept(
        "network.residual.branch_layers"
    )
    network_residual_norm: list[fields.Norm] = fields.swept("network.residual.norm")
    network_residual_zero_last: list[fields.ZeroLast] = fields.swept("network.residual.zero_last")
    init: list[InitField] = fields.swept("init")
    init_variance: list[fields.Variance] = fields.swept("init.variance")
    init_scheme: list[fields.SchemeName] = fields.swept("init.scheme")
    init_scale: list[fields.Scale] = fields.swept("init.scale")
    init_mode: list[fields.ModeName] = fields.swept("init.mode")
    init_gain: list[fields.Gain] = fields.swept("init.gain")
    init_a: list[fields.KaimingSlope] = fields.swept("init.a")
    init_nonlinearity: list[fields.KaimingNonlinearity] = fields.swept("init.nonlinearity")
    init_distribution: list[fields.WeightDistribution] = fields.swept("init.distribution")
    init_tolerance: list[fields.Tolerance] = fields.swept("init.tolerance")
    init_attempts: list[fields.Attempts] = fields.swept("init.attempts")
    init_bias: list[fields.Bias] = fields.swept("init.bias")
    init_bias_variance: list[fields.BiasVariance] = fields.swept("init.bias_variance")
    inputs_distribution: list[fields.InputDistribution] = fields.swept("inputs.distribution")
    inputs_mean: list[fields.Mean] = fields.swept("inputs.mean")
    inputs_std: list[fields.Std] = fields.swept("inputs.std")
    inputs_density: list[fields.Density] = fields.swept("inputs.density")
    inputs_cosine: list[fields.Cosine] = fields.swept("inputs.cosine")
    inputs_path: list[fields.DataPath] = fields.swept("inputs.path")
    inputs_normalisation: list[fields.Normalisation] = fields.swept("inputs.normalisation")
    inputs_count: list[fields.Count] = fields.swept("inputs.count")
    loss_name: list[fields.LossName] = fields.swept("loss.name")
    loss_target: list[fields.Target] = fields.swept("loss.target")

    @field_validator("*")
    @classmethod
    def _check_distinct(cls, values: list[object]) -> list[object]:
        seen: dict[object, int] = {}
        for index, value in enumerate(values):
            first = seen.setdefault(hashable(value), index)
            if first != index:
                raise relation(f"the same as value {first + 1}, must be distinct", index)
        return values

    @field_validator("*")
    @classmethod
    def _check_apart(cls, values: list[object], info: ValidationInfo) -> list[object]:
        name = str(info.field_name)
        for outer in ("network_activation", "network_residual", "init"):
            if name.startswith(f"{outer}_") and info.data.get(outer):
                path = outer.replace("_", ".")
                raise relation(f"inside {path}, which is swept too, must be swept alone")
        return values


if TYPE_CHECKING:

    class When(Section):
        """Values by dotted path that select conditions; each path that can be swept."""
else:
    _KINDS = {name: (f.alias, *get_args(f.annotation)) for name, f in Sweep.model_fields.items()}
    When = create_model(
        "When",
        __base__=Section,
        __doc__="Values by dotted path that select conditions; each path that can be swept.",
        **{name: (kind, fields.when(kind, path)) for name, (path, kind) in _KINDS.items()},
    )


class Expectation(Section):
    """What must come out, and in which conditions."""

    forward: fields.ForwardWord | None = fields.or_null(fields.ForwardWord)
    backward: fields.BackwardWord | None = fields.or_null(fields.BackwardWord)
    max_decades_per_layer: fields.DecadesPerLayer | None = fields.or_null(fields.DecadesPerLayer)
    when: When = Field(
        default_factory=When, description=f"Which conditions, or all of them: {fields.WHEN}."
    )

    @model_validator(mode="after")
    def _check_any(self) -> Expectation:
        if (self.forward, self.backward, self.max_decades_per_layer) == (None, None, None):
            raise relation(
                "nothing is expected, must have forward, backward or max_decades_per_layer"
            )
        return self


Expect = Annotated[
    Annotated[Expectation, Tag("<one>")]
    | Annotated[list[Expectation], Tag("<list>"), Field(max_length=1000)],
    fields.described("What must come out, for check and run --check", fields.EXPECT),
    Discriminator(lambda expect: "<list>" if isinstance(expect, list) else "<one>"),
]
