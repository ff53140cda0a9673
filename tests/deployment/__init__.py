"""Deploys rendered projects to an emulator without the Pulumi CLI, and injects faults."""
