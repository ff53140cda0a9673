"""The ``validate`` task: compares stack files with each other and with what is deployed."""

from tools.validate.configuration import CannotValidateError, validate_configuration
from tools.validate.report import Finding, Report

__all__ = ["CannotValidateError", "Finding", "Report", "validate_configuration"]
