import numpy as np
from matplotlib.text import Text

from heinit_sim.figures.draw import draw
from heinit_sim.figures.panels import saving
from tests.figures.helpers import flat, labels, panels


def test_leaders_start_in_the_middle_of_the_edge_that_faces_their_panel() -> None:
    figure = draw(flat(4))
    with saving():
        figure.draw_without_rendering()
        for ax, side in zip(panels(figure), ("x0", "x1"), strict=True):
            for label in labels(ax):
                box = Text.get_window_extent(label)
                edge = np.array([getattr(box, side), (box.y0 + box.y1) / 2])
                assert label.arrow_patch is not None
                start = np.asarray(label.arrow_patch.get_path().vertices)[0]
                # A leader begins two points outside a box that is two points larger than the text.
                reach = box.height / 2 + 4 * figure.dpi / 72
                assert np.hypot(*(start - edge)) < reach < box.width
