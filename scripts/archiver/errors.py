"""What can go wrong between a checkpoint and its archive; each message is written for who ran the command."""


class ArchiverError(Exception):
    """Any failure of this package that the user can do something about."""


class CheckpointError(ArchiverError):
    """The file is not a YOLOv5 detection checkpoint that can be read safely."""


class UnsafeCheckpoint(CheckpointError):
    """The file asks for code to be run, or for more memory than its size accounts for."""


class WeightsUnavailable(ArchiverError):
    """No checkpoint of that name was found, and it could not be downloaded."""


class ChecksumMismatch(WeightsUnavailable):
    """What was downloaded is not the file that was released."""


class OptionError(ArchiverError):
    """A name, version, image size or engine that no archive can have."""


class ExportError(ArchiverError):
    """The network could not be written as a program of the engine."""


class PackingError(ArchiverError):
    """The archive could not be written into the model store."""


class CalibrationError(ArchiverError):
    """There are no pictures, or no readable ones, to quantise with."""


class StorageError(ArchiverError):
    """A file could not be written, for want of space or of the right to."""
