"""Deployments of rendered projects to an emulator without the Pulumi CLI, and fault injection."""
