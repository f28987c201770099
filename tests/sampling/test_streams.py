import numpy as np
import pytest

from heinit_sim.sampling import streams
from heinit_sim.sampling.streams import (
    DrawnWeights,
    keeps_weights,
    prediction_rng,
    sample_biases,
    sample_inputs,
    sample_weights,
    verification_rng,
)
from tests.conditions import dense_draws

WIDTHS = (3, 4, 4, 2)


def numbers(seed: int, salt: tuple[int, ...], trials: range) -> np.ndarray:
    draws = dense_draws(WIDTHS, 5, salt)
    weights = sample_weights(seed, draws, trials, [])
    parts = [
        sample_inputs(seed, draws, trials),
        *(weights[k] for k in range(len(WIDTHS) - 1)),
        *sample_biases(seed, draws, trials),
    ]
    return np.concatenate([part.ravel() for part in parts])


def test_seeds_salts_trials_layers_inputs_and_biases_have_streams_of_their_own() -> None:
    salts = [(), (1, 2, 3, 4), (1, 2, 5, 4)]
    drawn = [numbers(seed, salt, range(3)) for seed in (0, 1) for salt in salts]
    values = np.concatenate(drawn)
    assert len(np.unique(values)) == len(values)


@pytest.mark.slow
def test_draws_are_standard_normal() -> None:
    values = numbers(0, (), range(2000))
    n = len(values)
    # the mean, and the mean square, of n independent normals: standard errors 1/√n and √(2/n)
    assert abs(values.mean()) < 4 / np.sqrt(n)
    assert abs((values**2).mean() - 1) < 4 * np.sqrt(2 / n)


def test_a_trial_is_the_same_wherever_its_block_begins() -> None:
    whole, part = (DrawnWeights(7, dense_draws(WIDTHS, 5), t) for t in (range(6), range(4, 6)))
    assert np.array_equal(whole[1][4:], part[1])


def test_biases_have_a_number_per_unit_of_every_layer() -> None:
    biases = sample_biases(7, dense_draws(WIDTHS, 5), range(6))
    assert [b.shape for b in biases] == [(6, 4, 1), (6, 4, 1), (6, 2, 1)]


def test_biases_of_a_trial_are_the_same_in_any_block_and_for_any_number_of_inputs() -> None:
    whole = sample_biases(7, dense_draws(WIDTHS, 5), range(6))
    part = sample_biases(7, dense_draws(WIDTHS, 1), range(4, 6))
    assert all(np.array_equal(a[4:], b) for a, b in zip(whole, part, strict=True))


def test_predictions_have_the_same_numbers_at_each_look_and_share_none() -> None:
    drawn = prediction_rng().standard_normal(100)
    assert np.array_equal(drawn, prediction_rng().standard_normal(100))
    values = np.concatenate([drawn, numbers(0, (), range(3))])
    assert len(np.unique(values)) == len(values)


def test_spare_arrays_are_used_again_if_they_fit() -> None:
    draws = dense_draws(WIDTHS, 5)
    first = sample_weights(0, draws, range(2), [])
    assert isinstance(first, list)
    expected = [layer.copy() for layer in first]
    again = sample_weights(0, draws, range(2), [first])
    assert isinstance(again, list)
    assert again[0] is first[0]
    assert all(np.array_equal(a, b) for a, b in zip(again, expected, strict=True))
    other = sample_weights(0, draws, range(3), [first])
    assert isinstance(other, list)
    assert other[0] is not first[0]


def test_weights_are_kept_up_to_the_limit_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = dense_draws(WIDTHS, 5)
    assert draws.n_weights == 3 * 4 + 4 * 4 + 4 * 2
    monkeypatch.setattr(streams, "_KEPT_BYTES", 2 * 8 * draws.n_weights)
    assert keeps_weights(draws, 2)
    assert not keeps_weights(draws, 3)
    assert isinstance(sample_weights(0, draws, range(3), []), DrawnWeights)


def test_identities_have_streams_of_their_own_by_name_and_seed() -> None:
    drawn = [
        verification_rng(seed, name).standard_normal(100)
        for seed in (0, 1)
        for name in ("rule 1", "rule 2")
    ]
    values = np.concatenate([*drawn, numbers(0, (), range(3))])
    assert len(np.unique(values)) == len(values)
    again = verification_rng(1, "rule 2").standard_normal(100)
    assert (again == drawn[-1]).all()


def test_biases_have_the_law_of_their_layer() -> None:
    draws = dense_draws(WIDTHS, 5, bias_distributions=("normal", "uniform", "normal"))
    drawn, normal = (sample_biases(7, d, range(500)) for d in (draws, dense_draws(WIDTHS, 5)))
    assert np.array_equal(drawn[0], normal[0])
    assert np.array_equal(drawn[2], normal[2])
    assert np.abs(drawn[1]).max() <= np.sqrt(3) < np.abs(normal[1]).max()
    n = drawn[1].size  # Var z² = 4/5 of uniform numbers of variance 1
    assert abs((drawn[1] ** 2).mean() - 1) < 4 * np.sqrt(0.8 / n)
