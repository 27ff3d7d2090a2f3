"""Location databases on disk: opened, checked, and read again when they are replaced."""
