"""Removes the folders that the answers left empty: their files have names that render empty, a folder's may not.

Cookiecutter renders this file and runs it in the new folder.
"""

import os


def remove_empty_folders(project):
    """Remove each folder in the project that holds no file, however deep.

    Args:
        project: The project's folder.
    """
    for folder, _, _ in os.walk(project, topdown=False):
        if not os.listdir(folder):
            os.rmdir(folder)


if __name__ == "__main__":
    remove_empty_folders(os.curdir)
