"""Container images: built from the project's Dockerfiles, cached, saved as archives that nodes import."""
