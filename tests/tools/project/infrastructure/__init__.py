"""Infrastructure package of the tools' test project, with its settings model."""
