"""The bootstrap program: a separate Pulumi program with one stack per AWS account, for the IAM roles of CI."""
