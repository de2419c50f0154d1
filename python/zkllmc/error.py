class Error(Exception):
    """A file cannot be read or is of another kind, or what was asked makes no sense for the model.

    A proof that does not hold is no error but a report.
    """
