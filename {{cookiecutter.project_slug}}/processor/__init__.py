"""The Lambda function. Its bundle contains only this package and the function's dependencies."""
