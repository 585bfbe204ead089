"""The error of a pipeline that failed for another reason than a user's mistake. It imports nothing, because the command
line catches it."""


class PipelineFailed(Exception):
    """A step stopped for a reason that is no mistake of the user's: the log has it."""
