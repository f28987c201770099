"""Fans and shapes of weights, counted out by hand."""

from heinit_sim.experiment.architecture import (
    Convolution,
    Residual,
    layer_fans,
    matrix_places,
    matrix_shapes,
)


def test_fans_of_a_fully_connected_network_are_its_widths() -> None:
    assert layer_fans((7, 5, 3, 2), None) == ((7, 5), (5, 3), (3, 2))


def test_fans_of_a_convolution_count_its_taps() -> None:
    convolution = Convolution((4, 6), 3, (3, 8, 16))
    widths = (72, 192, 384, 10)
    assert layer_fans(widths, convolution) == ((27, 72), (72, 144), (384, 10))
    pooled = convolution._replace(readout="mean")
    assert layer_fans(widths, pooled)[-1] == (16, 10)
    line = Convolution((24,), 5, (3, 8, 16))
    assert layer_fans(widths, line)[:2] == ((15, 40), (40, 80))


def test_a_block_of_two_layers_has_two_matrices() -> None:
    widths, twice = (7, 5, 5, 5, 2), Residual(branch_layers=2)
    assert matrix_places(3, None) == ((0,), (1,), (2,), (3,))
    assert matrix_places(3, Residual()) == ((0,), (1,), (2,), (3,))
    assert matrix_places(3, twice) == ((0,), (1, 2), (3, 4), (5,))
    square = (5, 5)
    assert matrix_shapes(widths, None, twice) == ((5, 7), *[square] * 4, (2, 5))


def test_weights_of_a_convolution_are_kernels() -> None:
    convolution = Convolution((4, 6), 3, (3, 8, 8))
    shapes = matrix_shapes((72, 192, 192, 10), convolution, Residual(branch_layers=2))
    assert shapes == ((8, 9, 3), (8, 9, 8), (8, 9, 8), (10, 192))
