"""The ``validate`` task: do the stacks' files make sense side by side, and is what is deployed what they say?"""

from tools.validate.configuration import CannotValidateError, validate_configuration
from tools.validate.report import Finding, Report

__all__ = ["CannotValidateError", "Finding", "Report", "validate_configuration"]
