"""What an agent does. pydantic-ai is imported here and nowhere else."""
