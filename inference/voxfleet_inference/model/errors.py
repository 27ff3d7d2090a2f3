"""The one exception tree of checkpoint reading. Every message names what was found, what was expected, what to do.

CheckpointError
├── MissingFileError        a file of the published format is not there
├── TruncatedFileError      a file ends before it should, or is no such file at all
├── InvalidConfigError      config.json is no JSON, or a field has a value that this server cannot run
├── WrongArchitectureError  config.json names another model
├── InvalidTokenizerError   tokenizer.json does not load, or has tokens that the model has no embedding for
├── MissingTensorError      a weight file lacks a tensor
├── WrongTensorShapeError   a tensor has another shape than config.json implies
└── UnsupportedFormatError  this machine cannot compute in the asked number format
"""


class CheckpointError(Exception):
    """The checkpoint cannot be served; the message says which file, what is wrong, and what to do."""


class MissingFileError(CheckpointError):
    """A file of the published format is not there."""


class TruncatedFileError(CheckpointError):
    """A file ends before it should, or is no such file at all."""


class InvalidConfigError(CheckpointError):
    """config.json is no JSON, or a field has a value that this server cannot run."""


class WrongArchitectureError(CheckpointError):
    """config.json names another model than VoxCPM 1.x."""


class InvalidTokenizerError(CheckpointError):
    """tokenizer.json does not load, or has tokens that the model has no embedding for."""


class MissingTensorError(CheckpointError):
    """A weight file lacks a tensor."""


class WrongTensorShapeError(CheckpointError):
    """A tensor has another shape than config.json implies."""


class UnsupportedFormatError(CheckpointError):
    """This machine cannot compute in the asked number format."""
