"""Container images: built from the project's Dockerfiles, cached, loaded into nodes."""
