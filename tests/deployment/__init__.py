"""Deployments of the rendered program without the engine, and ways to break them."""
