"""The ``validate`` task: do the stacks' files make sense side by side, and is what is deployed what they say?"""

from tools.validate.configuration import CannotValidateError, validate_configuration
from tools.validate.report import Report

__all__ = ["CannotValidateError", "Report", "validate_configuration"]
