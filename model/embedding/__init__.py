"""From a trained model to Pin vectors: computed, packed into bytes, searched exactly."""
