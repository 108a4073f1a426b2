"""A model that is loaded to speak normalises the decoder's weights once."""

from myxtts.models.layers import WeightNorm
from myxtts.models.precision import all_layers
from myxtts.synthesis.speech import Synthesizer


def test_a_loaded_model_has_its_decoder_folded_and_nothing_else(bundle):
    model = Synthesizer.load(bundle).model
    assert all(layer.folded is not None for layer in all_layers(model.decoder) if isinstance(layer, WeightNorm))
    assert any(isinstance(layer, WeightNorm) for layer in all_layers(model.decoder))
