"""The bootstrap program: a separate Pulumi program that creates CI's IAM roles, with one stack per AWS account."""
