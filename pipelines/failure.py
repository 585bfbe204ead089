"""What ends a pipeline without being a mistake of the user's; light, for the command line catches it."""


class PipelineFailed(Exception):
    """A step stopped for a reason that is no mistake of the user's: the log has it."""
