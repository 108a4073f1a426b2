"""The state dict of a model of ours, under the reference's keys: what an import begins with."""

import keras
import numpy as np

from myxtts.models.coqui import LAYOUTS, MEL_STATS, names
from myxtts.models.xtts import XTTS, tensor_names


def state_of(model: XTTS) -> dict[str, np.ndarray]:
    """Every tensor of the model under the reference's key and in its layout, and mel_stats."""
    state = {MEL_STATS: np.array(model.mel_norm)}
    for component, theirs in names(model.config).items():
        if component in model.components:
            for name, variable in tensor_names(model.component(component)).items():
                value = np.asarray(keras.ops.convert_to_numpy(variable.value))
                state[theirs[name].key] = np.ascontiguousarray(LAYOUTS[theirs[name].layout].to_theirs(value))
    return state
