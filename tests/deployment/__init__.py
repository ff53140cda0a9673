"""A deployment of the rendered program without the engine, and ways to break it."""
