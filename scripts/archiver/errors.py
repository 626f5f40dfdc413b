"""The errors of building an archive. Each message is for the user who ran the command."""


class ArchiverError(Exception):
    """Base of all errors that the user can fix."""


class CheckpointError(ArchiverError):
    """The file is not a YOLOv5 detection checkpoint that can be read safely."""


class UnsafeCheckpoint(CheckpointError):
    """Loading the file would run code, or take far more memory than the file has bytes."""


class WeightsUnavailable(ArchiverError):
    """No checkpoint of this name was found, and it could not be downloaded."""


class ChecksumMismatch(WeightsUnavailable):
    """The downloaded file is not the released file."""


class OptionError(ArchiverError):
    """An option of the archive has an invalid value."""


class ExportError(ArchiverError):
    """The network could not be exported for the engine."""


class PackingError(ArchiverError):
    """The archive could not be written into the model store."""


class CalibrationError(ArchiverError):
    """There are no readable calibration pictures."""


class StorageError(ArchiverError):
    """A file could not be written: the disk is full, or the permission is missing."""
