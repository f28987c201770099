"""The longest chain of weights that follow one another."""

import pytest

from heinit_sim.checks.checkpoints.tensor_chain import Chain, longest_chain
from heinit_sim.checks.checkpoints.tensor_layout import Fans


def dense(n_in: int, n_out: int) -> Fans:
    return Fans(n_in, n_out, ())


def conv(n_in: int, n_out: int, *kernel: int) -> Fans:
    return Fans(n_in, n_out, kernel or (3, 3))


@pytest.mark.parametrize(
    ("weights", "chain"),
    [
        ([dense(4, 8), dense(8, 2)], (["0", "1"], 0, None)),
        # a head that stands before the layers, by its name, is left out
        ([dense(4, 8), dense(8, 2), dense(8, 8), dense(8, 8)], (["0", "2", "3"], 0, None)),
        ([dense(4, 8), dense(9, 2), dense(8, 3)], (["0", "2"], 0, None)),
        ([conv(3, 8), conv(8, 8), dense(8 * 25, 10)], (["0", "1", "2"], 2, (5, 5))),
        ([conv(3, 8), conv(8, 8), dense(8, 10)], (["0", "1", "2"], 2, None)),
        # 8 channels of 7 positions are no square image
        ([conv(3, 8), conv(8, 8), dense(8 * 7, 10)], (["0", "1"], 2, None)),
        ([conv(3, 8, 5), conv(8, 8, 3), dense(8 * 7, 10)], (["0", "1", "2"], 2, (7,))),
        # a network has one output layer, and its convolutions one number of dimensions
        ([conv(3, 8), dense(8, 10), dense(10, 2)], (["1", "2"], 0, None)),
        ([conv(3, 8), conv(8, 8, 3), conv(8, 4)], (["0", "2"], 2, None)),
        # oblong kernels, and those of three dimensions, are in no chain
        ([conv(3, 8), conv(8, 8, 3, 1), conv(8, 8, 3, 3, 3), conv(8, 4)], (["0", "3"], 2, None)),
    ],
)
def test_longest_chains(
    weights: list[Fans], chain: tuple[list[str], int, tuple[int, ...] | None]
) -> None:
    names = {str(at): one for at, one in enumerate(weights)}
    taken, n_convolutions, image = chain
    left = tuple(name for name in names if name not in taken)
    assert longest_chain(names) == Chain(tuple(taken), n_convolutions, left, image)


def test_weights_that_do_not_follow_are_no_chain() -> None:
    assert longest_chain({}) is None
    assert longest_chain({"a": dense(3, 4), "b": dense(5, 6)}) is None


def test_a_chain_of_ten_thousand_is_found_fast() -> None:
    chain = longest_chain({str(at): dense(8, 8) for at in range(10_000)})
    assert chain is not None
    assert len(chain.names) == 10_000
