"""Deployments of the rendered program without the Pulumi CLI, and ways to break them."""
