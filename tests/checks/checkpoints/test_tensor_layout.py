"""What tells the layout of weights, and in which order."""

import pytest

from heinit_sim.checks.checkpoints.tensor_layout import Layout, as_matrix, fans, places
from heinit_sim.experiment.tensors import Tensor


def named(**shapes: tuple[int, ...]) -> list[Tensor]:
    return [
        Tensor(n.replace("__", "."), s, "float32", "real", lambda _: iter([]))
        for n, s in shapes.items()
    ]


@pytest.mark.parametrize(
    ("tensors", "framework", "layout", "reason"),
    [
        # GPT-2 of Hugging Face says pt and has (in, out)
        (named(h__weight=(8, 24), h__bias=(24,)), "pt", "in_out", "length of h.bias"),
        (named(fc__weight=(24, 8), fc__bias=(24,)), None, "out_in", "length of fc.bias"),
        (named(fc__weight=(8, 8), fc__bias=(8,)), "pt", "out_in", "metadata: format pt"),
        (named(fc__kernel=(8, 9)), "flax", "in_out", "metadata: format flax"),
        (named(fc__kernel=(8, 9)), None, "in_out", "named kernel"),
        (named(fc__weight=(8, 9)), None, "out_in", "named weight"),
        (named(W1=(8, 9), b1=(9,)), None, "in_out", "length of b1"),
        (named(arr_0=(8, 9), arr_1=(9,)), None, "in_out", "length of arr_1"),
        (named(first=(8, 9), second=(9, 4)), None, "in_out", "widths follow one another"),
        (named(first=(9, 8), second=(4, 9)), None, "out_in", "widths follow one another"),
        (named(first=(9, 8)), None, "out_in", "a guess"),
        (named(conv=(3, 3, 16, 32)), None, "in_out", "axes of the kernel"),
        (named(conv=(32, 16, 3, 3)), None, "out_in", "axes of the kernel"),
        # a transposed convolution, whose bias is as long as its last but two axes
        (named(up__weight=(64, 3, 3, 3), up__bias=(3,)), "pt", "out_in", "metadata: format pt"),
        (named(c=(3, 3, 4, 8), b=(8,)), None, "out_in", "a guess"),
    ],
)
def test_layouts_are_told(
    tensors: list[Tensor], framework: str | None, layout: Layout, reason: str
) -> None:
    place = places(tensors, framework)[tensors[0].name]
    assert (place.layout, place.reason) == (layout, reason)


def test_a_layout_that_is_given_is_the_layout_of_all() -> None:
    tensors = named(fc__weight=(8, 24), fc__bias=(24,))
    assert places(tensors, "pt", "out_in")["fc.weight"][:2] == ("out_in", "--layout")
    assert places(tensors, "pt", "out_in")["fc.weight"].bias == "fc.bias"


@pytest.mark.parametrize(
    ("shape", "layout", "expected", "matrix"),
    [
        ((30, 20), "out_in", (20, 30, 1), (30, 20)),
        ((20, 30), "in_out", (20, 30, 1), (20, 30)),
        ((32, 16, 3, 5), "out_in", (240, 480, 15), (32, 240)),
        ((3, 5, 16, 32), "in_out", (240, 480, 15), (240, 32)),
        ((32, 16, 7), "out_in", (112, 224, 7), (32, 112)),
    ],
)
def test_fans_count_the_taps_of_kernels(
    shape: tuple[int, ...], layout: Layout, expected: tuple[int, ...], matrix: tuple[int, int]
) -> None:
    own = fans(shape, layout)
    assert (own.fan_in, own.fan_out, own.taps) == expected
    assert as_matrix(shape, layout) == matrix
