"""The section `record.update`: one step of training, and its learning rates."""

from __future__ import annotations

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.annotations import Section


class Update(Section):
    """One step of training on the mean loss of the batch, whose effect is recorded."""

    learning_rate: fields.LearningRate
    first: fields.FirstRate | None = None
    last: fields.LastRate | None = None
    biases: fields.BiasRate | None = None
    optimiser: fields.Optimiser = "sgd"
