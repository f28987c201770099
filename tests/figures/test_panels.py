import numpy as np

from heinit_sim.figures.draw import draw
from heinit_sim.figures.frame import points_of
from heinit_sim.figures.look.sheet import saving
from tests.figures.helpers import flat, labels, leader, panels


def test_leaders_end_in_the_middle_of_the_edge_that_faces_their_panel() -> None:
    figure = draw(flat(4))
    with saving():
        figure.draw_without_rendering()
        for ax, side in zip(panels(figure), ("x0", "x1"), strict=True):
            for i, label in enumerate(labels(ax)):
                box = label.get_window_extent()
                edge = np.array([getattr(box, side), (box.y0 + box.y1) / 2])
                ends = leader(ax, i)
                assert ends is not None
                start = points_of(figure).transform(ends[-1])
                # A leader ends three points outside a text, and at the middle of its letters.
                reach = box.height / 4 + 4 * figure.dpi / 72
                assert np.hypot(*(start - edge)) < reach < box.width
