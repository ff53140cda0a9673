"""The Lambda function: its bundle contains this folder and its dependencies, and no other code of the project."""
