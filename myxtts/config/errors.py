"""The exceptions that a user meets. Each message says what was expected, what came, and the remedy."""


class MyXTTSError(Exception):
    """Base of every error that is the user's to repair: the command line prints its message without a traceback."""


class ConfigError(MyXTTSError):
    """params.yaml (or an override of it) is not valid."""


class DataError(MyXTTSError):
    """A corpus, a clip or a record file cannot be used."""


class ModelError(MyXTTSError):
    """A model folder, weight file or tokenizer cannot be used."""


class TrackingError(MyXTTSError):
    """The MLflow server or store cannot be used."""


class TrackerAway(TrackingError):
    """The MLflow server does not answer: a training goes on without it."""
