"""Mathematics that NumPy lacks; nothing here knows of networks."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]
