"""The Lambda function: everything in this folder, and nothing else, goes into its bundle."""
