"""Scripts for make targets, releases, and updates of rendered projects."""
