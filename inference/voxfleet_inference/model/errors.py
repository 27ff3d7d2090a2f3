"""The exception tree of checkpoint reading. Every message names what was found, what was expected, and the way out.

CheckpointError
├── MissingFileError        a file of the published format does not exist
├── TruncatedFileError      a file is shorter than its header says, or has another format
├── InvalidConfigError      config.json is not JSON, or a field has a value that this server cannot run
├── WrongArchitectureError  config.json names another model
├── InvalidTokenizerError   tokenizer.json does not load, or has tokens without an embedding in the model
├── MissingTensorError      a weight file lacks a tensor
├── WrongTensorShapeError   a tensor has another shape than config.json implies
└── UnsupportedFormatError  this machine cannot compute in the requested number format
"""


class CheckpointError(Exception):
    """The checkpoint cannot be served; the message names the file, the fault and the way out."""


class MissingFileError(CheckpointError):
    """A file of the published format does not exist."""


class TruncatedFileError(CheckpointError):
    """A file is shorter than its header says, or has another format."""


class InvalidConfigError(CheckpointError):
    """config.json is not JSON, or a field has a value that this server cannot run."""


class WrongArchitectureError(CheckpointError):
    """config.json names a model other than VoxCPM 0.5B and 1.5."""


class InvalidTokenizerError(CheckpointError):
    """tokenizer.json does not load, or has tokens without an embedding in the model."""


class MissingTensorError(CheckpointError):
    """A weight file lacks a tensor."""


class WrongTensorShapeError(CheckpointError):
    """A tensor has another shape than config.json implies."""


class UnsupportedFormatError(CheckpointError):
    """This machine cannot compute in the requested number format."""
