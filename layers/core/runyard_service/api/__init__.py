"""The HTTP face: FastAPI is imported here and nowhere else."""
