"""Downloads checkpoints: from the Hugging Face hub or an S3-compatible store into a folder, whole and verified."""
