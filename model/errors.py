"""Every error a user can cause. One sentence: what is wrong, where, how to fix it.

PinclipError
├── ConfigError        a profile, a `--set` key or a value that does not exist or does not fit
├── SpecError          an import spec that does not describe the tables it points at
├── CatalogueError     a catalogue that is missing, empty or breaks its contract
├── ValidationFailed   the data was readable and is not good enough to train on
├── TrainingError      training cannot start or cannot go on (NaN loss, batch larger than the data)
├── ModelError         a model folder that is missing, corrupt or of another architecture
│   └── ExportError    its network cannot be written as ONNX graphs
├── RerankError        candidates that cannot be put in order (not finite, lengths that differ, too few for the slots)
├── StoreError         the model registry or the feature store refuses or does not answer
│   └── ServerAway     it does not answer, so that trying again later may help
├── VectorIndexError   an ANN index that is missing, corrupt or of another space, or vectors that do not fit it
├── ClusterError       a Kubeflow Pipelines server or a cluster that does not answer, or refuses
└── RunError           a run folder that is missing, busy or incomplete
"""


class PinclipError(Exception):
    """A mistake the user can fix. The command line prints the sentence and exits with code 2."""


class ConfigError(PinclipError):
    pass


class SpecError(PinclipError):
    pass


class CatalogueError(PinclipError):
    pass


class ValidationFailed(PinclipError):
    pass


class TrainingError(PinclipError):
    pass


class ModelError(PinclipError):
    pass


class ExportError(ModelError):
    pass


class RerankError(PinclipError):
    pass


class StoreError(PinclipError):
    pass


class ServerAway(StoreError):
    pass


class VectorIndexError(PinclipError):
    pass


class ClusterError(PinclipError):
    pass


class RunError(PinclipError):
    pass
