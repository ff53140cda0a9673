"""The roles that CI previews and deploys the stacks with: a Pulumi program of its own, run once for each account."""
